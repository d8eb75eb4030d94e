import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiomask.audio.windows import blend_windows, plan_windows

shapes = st.tuples(st.integers(0, 400), st.integers(1, 60), st.integers(0, 30)).filter(
    lambda shape: 2 * shape[2] <= shape[1]
)


@given(shapes)
def test_windows_cover_every_frame_and_overlap(shape: tuple[int, int, int]) -> None:
    frames, window, overlap = shape
    windows = plan_windows(frames, window, overlap)
    covered = sorted({frame for start, stop in windows for frame in range(start, stop)})
    assert covered == list(range(frames))
    assert all(stop - start == min(window, frames) for start, stop in windows)
    for (_, stop), (start, _) in itertools.pairwise(windows):
        assert stop - start >= overlap


@given(shapes)
def test_blending_agreeing_windows_gives_the_whole(shape: tuple[int, int, int]) -> None:
    frames, window, overlap = shape
    whole = torch.arange(frames, dtype=torch.float64).sin()
    pieces = list(
        blend_windows(plan_windows(frames, window, overlap), overlap, lambda a, b: whole[a:b])
    )
    together = torch.cat(pieces) if pieces else whole[:0]
    assert torch.allclose(together, whole)


def test_disagreeing_windows_fade_into_each_other() -> None:
    windows = plan_windows(16, 10, 4)
    values = iter([0.0, 1.0])
    together = torch.cat(
        list(blend_windows(windows, 4, lambda a, b: torch.full((b - a,), next(values))))
    )
    assert torch.allclose(together[:6], torch.zeros(6))
    assert torch.allclose(together[6:10], torch.tensor([0.2, 0.4, 0.6, 0.8]))
    assert torch.allclose(together[10:], torch.ones(6))


def test_an_overlap_of_more_than_half_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        plan_windows(100, 10, 6)
