"""Interpolation over hidden frames, also at the ends of a window."""

import torch

from audiomask.networks.spectrogram.interpolation import interpolate


def test_by_hand() -> None:
    features = torch.tensor([9.0, 1, 9, 9, 4, 9])[:, None]
    hidden = torch.tensor([True, False, True, True, False, True])
    found = interpolate(features, hidden).flatten()
    assert found.tolist() == [1, 1, 2, 3, 4, 4]


def test_windows_of_a_batch_by_themselves() -> None:
    torch.manual_seed(0)
    features, hidden = torch.rand(5, 30, 4), torch.rand(5, 30) < 0.5
    together = interpolate(features, hidden)
    for row in range(5):
        assert torch.equal(together[row], interpolate(features[row], hidden[row]))
    assert torch.equal(together[~hidden], features[~hidden])


def test_a_line_is_kept_and_what_is_all_hidden_stays() -> None:
    line = torch.arange(20.0)[:, None] * torch.tensor([1.0, -0.5])
    hidden = torch.ones(20, dtype=torch.bool)
    assert torch.equal(interpolate(line, hidden), line)
    hidden[[0, 7, 19]] = False
    assert torch.allclose(interpolate(line, hidden), line, atol=1e-5)


def test_hidden_frames_are_not_read() -> None:
    features, hidden = torch.rand(20, 3), torch.rand(20) < 0.4
    hidden[3] = False
    other = torch.where(hidden[:, None], 99.0, features)
    assert torch.equal(interpolate(features, hidden), interpolate(other, hidden))
