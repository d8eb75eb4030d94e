"""Transplants: bit-near where the song repeats exactly, at the right level, without clicks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise, tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill.gaps import Gap
from audiomask.infill.passages import Passage
from audiomask.infill.splice import Patch
from audiomask.infill.transplant import fade_between, transplant

RATE = 44_100
FADES = (441, 441)


def patch_of(
    audio: Tensor, gap: Gap, start: int, *others: Gap, origin: Tensor | None = None
) -> Patch:
    holed = audio.clone()
    for one in (gap, *others):
        holed[:, one.start : one.stop] = torch.nan
    source = MemorySource(holed, RATE)
    passage = Passage(start, 0.1, 0.9, origin is not None, 60.0)
    place = source if origin is None else MemorySource(origin, RATE)
    return transplant(source, gap, sorted((gap, *others)), passage, place, FADES)


def test_an_exact_repetition_comes_back_bit_for_bit() -> None:
    audio = 0.1 * noise(2, 200_000)
    audio[:, 120_000:180_000] = audio[:, 20_000:80_000]
    gap = Gap(50_000, 60_000)
    made = patch_of(audio, gap, 150_000)
    assert (made.start, made.stop) == (gap.start, gap.stop)
    assert torch.equal(made.samples, audio[:, gap.start : gap.stop])


@pytest.mark.parametrize("decibels", [-2.0, 2.5, 20.0])
def test_the_level_is_that_of_the_surroundings_within_limits(decibels: float) -> None:
    audio = 0.05 * noise(1, 300_000)
    audio[:, 150_000:] *= 10 ** (decibels / 20)
    gap = Gap(60_000, 80_000)
    made = patch_of(audio, gap, 210_000)
    middle = made.samples[:, 5000:-5000].square().mean()
    level = 10 * math.log10(float(middle) / 0.05**2)
    assert level == pytest.approx(max(decibels - 3, 0) if decibels > 0 else 0, abs=0.3)


def test_joins_carry_the_recording_into_the_passage() -> None:
    # a tone goes on, though the passage is another one
    audio = 0.1 * tone(441, 200_000)[None].clone()
    audio[:, 100_000:] = 0.1 * tone(630, 100_000)
    gap = Gap(40_000, 60_000)
    true = audio[:, gap.start : gap.stop].clone()
    made = patch_of(audio, gap, 150_000)
    assert (made.start, made.stop) == (gap.start, gap.stop)
    for edge in (slice(0, 200), slice(-200, None)):
        error = (made.samples[:, edge] - true[:, edge]).square().mean()
        assert float(error / true.square().mean()) < 0.03
    # with too little sound for an edge the fade is outside
    short = patch_of(audio[:, 39_500:], Gap(500, 20_500), 110_000)
    assert (short.start, short.stop) == (500 - FADES[0], 20_500)


def test_fades_keep_the_power() -> None:
    one, two = 0.1 * noise(1, 4000), 0.1 * noise(1, 4000, seed=1)
    assert torch.allclose(fade_between(one, one, left=True), one, atol=1e-6)
    for left in (True, False):
        made = fade_between(one, two, left)
        power = made.unfold(1, 1000, 1000).square().mean(dim=2) / one.square().mean()
        assert (power - 1).abs().max() < 0.2
        ends = (one, two) if left else (two, one)
        assert torch.allclose(made[:, :5], ends[0][:, :5], atol=1e-3)
        assert torch.allclose(made[:, -5:], ends[1][:, -5:], atol=1e-3)
    assert not fade_between(torch.zeros(1, 100), torch.zeros(1, 100), left=True).any()


def test_another_take_may_be_softer() -> None:
    audio = 0.1 * noise(1, 200_000)
    made = patch_of(audio, Gap(50_000, 60_000), 50_000, origin=0.5 * audio)
    assert torch.allclose(made.samples[:, 2000:-2000], audio[:, 52_000:58_000], rtol=0.05)


@settings(max_examples=25)
@given(st.integers(1, 40_000), st.integers(0, 60_000), st.integers(-70_000, 130_000))
def test_a_patch_keeps_to_its_place_and_is_finite(length: int, start: int, shift: int) -> None:
    audio = 0.1 * noise(1, 60_000)
    gap = Gap(min(start, 59_999), min(start + length, 60_000))
    made = patch_of(audio, gap, gap.start + shift)
    assert gap.start - FADES[0] <= made.start <= gap.start
    assert gap.stop <= made.stop <= gap.stop + FADES[1]
    assert made.samples.shape == (1, made.stop - made.start)
    assert made.samples.isfinite().all()
