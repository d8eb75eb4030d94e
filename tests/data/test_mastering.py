"""Mastering: compression and limiting of mixtures, in which the stems still add up."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise
from torch import Tensor

from audiomask.data.mastering import COMPRESSION_PROB, LIMITING_PROB, Master, master, sample_master

NONE = Master(math.inf, 1.0, 0.0)


def crest(audio: Tensor) -> float:
    """Peak over root mean square, dB."""
    return 20 * math.log10(float(audio.abs().max() / audio.square().mean().sqrt()))


@settings(max_examples=20)
@given(
    seed=st.integers(0, 999),
    threshold=st.sampled_from([math.inf, -6.0, 3.0]),
    limit=st.sampled_from([0.0, 1.0, 9.0]),
    channels=st.integers(1, 2),
)
def test_stems_get_the_gains_of_their_mixture(
    seed: int, threshold: float, limit: float, channels: int
) -> None:
    stems = torch.linspace(0.1, 2, 4_000) * noise(2, 3, channels, 4_000, seed=seed)
    before = stems.clone()
    found = master(stems, torch.tensor([Master(threshold, 4.0, limit), NONE]))
    assert torch.equal(stems, before)
    assert torch.equal(found[1], stems[1])
    gain = found[0] / stems[0]
    sure = (stems[0].abs() > 1e-3).all(dim=0)
    # the same for all stems at once, between 0 and 1 or, by the limiter's drive, more
    for one in gain[1:]:
        torch.testing.assert_close(one[sure], gain[0][sure], rtol=1e-3, atol=1e-4)
    assert float(gain[0][sure].min()) > 0
    # and so the mixture of the mastered stems is the mastered mixture
    mixture = stems.sum(dim=1, keepdim=True)
    alone = master(mixture, torch.tensor([Master(threshold, 4.0, limit), NONE]))
    torch.testing.assert_close(found.sum(dim=1), alone[:, 0], rtol=1e-3, atol=1e-4)


def test_nothing_asked_for_is_nothing_done() -> None:
    stems = noise(2, 3, 2, 100)
    assert torch.equal(master(stems, torch.tensor([NONE, NONE])), stems)


def test_limiting_takes_peaks_away() -> None:
    stems = noise(1, 2, 2, 10_000)
    mixtures = [
        master(stems, torch.tensor([Master(math.inf, 1.0, limit)])).sum(dim=1)
        for limit in (0.0, 3.0, 9.0)
    ]
    crests = [crest(mixture) for mixture in mixtures]
    assert crests[0] > crests[1] + 0.5 > crests[2] + 1.5


def test_bus_compression_evens_loudness_out() -> None:
    stems = noise(1, 2, 2, 20_480)
    stems[..., :10_240] *= 0.1
    found = master(stems, torch.tensor([Master(-9.0, 4.0, 0.0)])).sum(dim=1)
    soft, loud = (part.square().mean() for part in found.split(10_240, dim=-1))
    assert 10 * math.log10(float(loud / soft)) < 16  # of 20


def test_silence_stays_silent() -> None:
    stems = torch.zeros(1, 2, 2, 3_000)
    assert torch.equal(master(stems, torch.tensor([Master(-9.0, 4.0, 9.0)])), stems)


def test_some_are_compressed_and_some_limited() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_master(rng) for _ in range(1_000)]
    compressed = [one for one in drawn if math.isfinite(one.threshold)]
    limited = [one for one in drawn if one.limit_db > 0]
    assert len(compressed) / 1_000 == pytest.approx(COMPRESSION_PROB, abs=0.05)
    assert len(limited) / 1_000 == pytest.approx(LIMITING_PROB, abs=0.05)
    assert all(one.ratio > 1 for one in compressed)
    assert all(one.ratio == 1 for one in drawn if one not in compressed)
