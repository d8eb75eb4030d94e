"""Excerpts: the stems are mixed at a random level and never clip."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import noise

from audiomask.data.excerpt import generator, rms, sample_rms_db, scale_to_rms


@given(seed=st.integers(0, 999), gain=st.floats(1e-4, 100), channels=st.integers(1, 2))
def test_a_mixture_is_the_sum_at_the_level_asked_for(seed: int, gain: float, channels: int) -> None:
    stems = gain * noise(2, 3, channels, 500, seed=seed)
    wanted = torch.tensor([-30.0, -15.0])
    mixture, scaled, has_stems = scale_to_rms(stems, wanted)
    assert has_stems.tolist() == [True, True]
    assert mixture.shape == (2, channels, 500)
    assert torch.allclose(mixture, scaled.sum(dim=1), atol=1e-6)
    assert float(mixture.abs().max()) <= 0.9901
    for item, level in zip(mixture, wanted.tolist(), strict=True):
        assert 10 * math.log10(float(item.square().mean())) == pytest.approx(level, abs=0.01)
    # the balance is kept, that of the channels as well
    for ratio in scaled / stems:
        assert torch.allclose(ratio, ratio[0, 0, 0].expand_as(ratio), rtol=1e-3)


def test_levels_are_between_30_and_12_db_down() -> None:
    rng = np.random.default_rng(0)
    levels = [sample_rms_db(rng) for _ in range(300)]
    assert -30 <= min(levels) < -29
    assert -13 < max(levels) <= -12


def test_peaks_are_kept_below_clipping() -> None:
    stems = torch.zeros(1, 2, 2, 10_000)
    stems[0, 0, 1, 5] = 1  # so little power that any level would clip
    mixture, _, _ = scale_to_rms(stems, torch.tensor([-12.0]))
    assert float(mixture.max()) == pytest.approx(0.99, rel=1e-4)


def test_silence_stays_silent() -> None:
    assert not scale_to_rms(torch.zeros(1, 2, 1, 100), torch.tensor([-20.0])).mixture.any()


def test_a_lines_level_is_that_of_all_its_channels() -> None:
    lines = torch.tensor([[[3.0, 3.0], [0.0, 0.0]], [[1.0, -1.0], [1.0, 1.0]]])
    assert torch.allclose(rms(lines), torch.tensor([4.5**0.5, 1.0]))


def test_seed_and_index_both_count() -> None:
    drawn = {
        float(torch.rand((), generator=generator(seed, index)))
        for seed in range(4)
        for index in (0, 1, 2**31)
    }
    assert len(drawn) == 12
    first, second = (torch.rand(3, generator=generator(1, 2)) for _ in range(2))
    assert torch.equal(first, second)
