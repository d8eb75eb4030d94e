"""Hidden spans, and fillings without a model."""

from itertools import groupby

import pytest
import torch

from audiomask.evaluation.masked_frames import SPANS, hold, sample_spans
from audiomask.evaluation.ranking import auc
from audiomask.networks.spectrogram.interpolation import interpolate


@pytest.mark.parametrize("length", SPANS)
def test_spans_are_of_their_length_and_have_neighbors(length: int) -> None:
    draw = torch.Generator().manual_seed(0)
    starts = set()
    for _ in range(50):
        hidden = sample_spans(288, length, draw)
        groups = [(is_hidden, len(list(g))) for is_hidden, g in groupby(hidden.tolist())]
        assert not groups[0][0]
        assert not groups[-1][0]
        assert {size for is_hidden, size in groups if is_hidden} == {length}
        assert 0.05 < float(hidden.float().mean()) < 0.26
        starts.add(int(hidden.int().argmax()))
    assert len(starts) > 10
    # the shortest window that has room for one
    assert sample_spans(length + 2, length, draw).tolist() == [False, *[True] * length, False]


def test_fillings_by_hand() -> None:
    features = torch.tensor([[0.0], [1.0], [9.0], [9.0], [9.0], [3.0], [7.0]])
    hidden = torch.tensor([False, False, True, True, True, False, False])
    assert hold(features, hidden).flatten().tolist() == [0, 1, 1, 1, 1, 3, 7]
    assert interpolate(features, hidden).flatten().tolist() == [0, 1, 1.5, 2, 2.5, 3, 7]


def test_a_line_is_interpolated_exactly() -> None:
    line = torch.arange(288.0)[:, None] * torch.tensor([1.0, -2.0])
    hidden = sample_spans(288, 16, torch.Generator().manual_seed(1))
    assert torch.allclose(interpolate(line, hidden), line, atol=1e-3)
    assert not torch.allclose(hold(line, hidden), line)


def test_the_area_counts_pairs() -> None:
    assert auc([3, 2], [1, 0]) == 1
    assert auc([0], [1]) == 0
    assert auc([1, 1], [1]) == 0.5
    assert auc([1, 3], [2, 0]) == 0.75
    assert auc([], [1]) != auc([], [1])  # not a number
