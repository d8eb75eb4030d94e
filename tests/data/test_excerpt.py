"""Excerpts: the stems are mixed at a random level and never clip."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import noise

from audiomask.data.excerpt import generator, mix


@given(seed=st.integers(0, 999), gain=st.floats(1e-4, 100))
def test_a_mix_is_the_sum_at_a_level_between_30_and_12_db_down(seed: int, gain: float) -> None:
    stems = gain * noise(3, 500, seed=seed)
    mixture, scaled, has_stems = mix(stems, np.random.default_rng(seed))
    assert bool(has_stems)
    assert torch.allclose(mixture, scaled.sum(dim=0), atol=1e-6)
    assert float(mixture.abs().max()) <= 0.9901
    level = 10 * math.log10(float(mixture.square().mean()))
    assert -30.01 < level < -11.99
    # the balance is kept
    ratio = scaled / stems
    assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-3)


def test_peaks_are_kept_below_clipping() -> None:
    stems = torch.zeros(2, 10_000)
    stems[0, 5] = 1  # so little power that any level would clip
    mixture, _, _ = mix(stems, np.random.default_rng(0))
    assert float(mixture.max()) == pytest.approx(0.99, rel=1e-4)


def test_silence_stays_silent() -> None:
    assert not mix(torch.zeros(2, 100), np.random.default_rng(0)).mixture.any()


def test_seed_and_index_both_count() -> None:
    drawn = {
        float(torch.rand((), generator=generator(seed, index)))
        for seed in range(4)
        for index in (0, 1, 2**31)
    }
    assert len(drawn) == 12
    first, second = (torch.rand(3, generator=generator(1, 2)) for _ in range(2))
    assert torch.equal(first, second)
