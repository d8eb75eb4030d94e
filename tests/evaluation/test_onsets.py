"""Onsets, flux at joins, levels and clipping, of sounds in which they are known."""

import math

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.evaluation.onsets import (
    clipped_samples,
    join_flux,
    level_error,
    onset_f_measure,
    onsets,
)

RATE = 44_100


def beats(*times: float, seconds: float = 2.0, rate: int = RATE) -> Tensor:
    """Decaying bursts of noise over soft noise."""
    audio = 1e-4 * noise(1, round(seconds * rate))
    fall = torch.exp(-torch.arange(rate // 5) / (0.03 * rate))
    for time in times:
        at = round(time * rate)
        audio[:, at : at + len(fall)] += 0.3 * noise(1, len(fall), seed=1) * fall
    return audio


@pytest.mark.parametrize("rate", [RATE, 16_000])
def test_onsets_are_where_beats_begin(rate: int) -> None:
    times = (0.3, 0.75, 1.2, 1.55)
    found = onsets(beats(*times, rate=rate), rate)
    assert len(found) == len(times)
    assert found == pytest.approx(times, abs=0.03)
    assert onsets(torch.zeros(1, RATE), RATE) == []


def test_f_measure() -> None:
    true, whole = beats(0.3, 0.7, 1.1, 1.5), (0, 2 * RATE)
    assert onset_f_measure(true, true, RATE, whole) == 1
    # two of three are right, and of four found
    assert onset_f_measure(beats(0.3, 0.7, 1.3), true, RATE, whole) == pytest.approx(4 / 7)
    assert onset_f_measure(torch.zeros_like(true), true, RATE, whole) == 0
    assert math.isnan(onset_f_measure(true, torch.zeros_like(true), RATE, whole))
    # only what is inside counts
    assert onset_f_measure(beats(0.7), true, RATE, (RATE // 2, RATE)) == 1


def test_a_click_at_a_join_is_heard() -> None:
    true, gap = 0.1 * tone(441, 2 * RATE)[None], (30_000, 60_000)
    assert join_flux(true, true, RATE, gap) == 0
    cut = true.clone()
    cut[:, gap[0] : gap[1]] *= -1
    assert join_flux(cut, true, RATE, gap) > 6


def test_level_and_clipping() -> None:
    true, gap = 0.1 * noise(1, 9000), (3000, 6000)
    made = true.clone()
    made[:, 4000:5000] *= 2
    made[:, 3000:4000] = 1.5
    assert level_error(made, true, gap) == pytest.approx(6.02, abs=0.01)
    assert level_error(torch.zeros_like(true), true, gap) == -100
    assert level_error(true, true, gap) == 0
    assert level_error(made, true, (3000, 3001)) > 20
    assert clipped_samples(made, true, gap) == 1000
    assert clipped_samples(made, 10 * true, gap) == 0
