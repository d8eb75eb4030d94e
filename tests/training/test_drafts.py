"""Rough estimates of stems: between the mixture and the stem, and the same for the same seed."""

import pytest
import torch
from signals import tone
from torch import Tensor

from audiomask.audio.spectra import mel_distance
from audiomask.training.drafts import rough_estimates

RATE, LENGTH, SEEDS = 44_100, 44_100, list(range(24))


def pair() -> tuple[Tensor, Tensor]:
    """Mixtures of a low and a high chord, and their low chords, [24, LENGTH]."""
    low = 0.1 * tone((220.0, 330.0), LENGTH).sum(dim=0)
    high = 0.1 * tone((2000.0, 5100.0), LENGTH).sum(dim=0) + 0.01 * torch.randn(LENGTH)
    return (low + high).repeat(len(SEEDS), 1), low.repeat(len(SEEDS), 1)


def test_an_estimate_is_nearer_to_the_stem_than_the_mixture_is() -> None:
    torch.manual_seed(0)
    mixture, stem = pair()
    rough = rough_estimates(mixture, stem, SEEDS, RATE)
    assert rough.shape == stem.shape
    distance = mel_distance(rough, stem, RATE)
    assert (distance < mel_distance(mixture, stem, RATE)).all()
    # none is perfect, and some are far better than others
    assert distance.min() > 0.01
    assert distance.max() > 1.5 * distance.min()


def test_the_errors_are_those_of_the_seed() -> None:
    mixture, stem = pair()
    one, two = (rough_estimates(mixture[:2], stem[:2], seeds, RATE) for seeds in ([5, 6], [6, 5]))
    assert torch.allclose(one[0], two[1], atol=1e-6)
    assert (one[0] - one[1]).abs().max() > 1e-3


@pytest.mark.parametrize("length", [1, 1000, LENGTH + 3])
def test_any_length_and_silence(length: int) -> None:
    silence = torch.zeros(1, length)
    assert rough_estimates(silence, silence, [0], RATE).abs().max() < 1e-6
    noise = torch.randn(1, length)
    assert rough_estimates(noise, silence, [0], RATE).isfinite().all()
