"""Leveling: fillings as loud, as bright and as wide as what is around them; no peak beyond."""

import math

import pytest
import torch
from scipy.signal import butter, sosfiltfilt
from signals import noise
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill.gaps import Gap
from audiomask.infill.leveling import (
    level_db,
    limit_peaks,
    match_level,
    peak_ceiling,
    relative_level,
)

RATE = 44_100
GAP = Gap(60_000, 100_000)


def leveled(audio: Tensor, made: Tensor, *others: Gap, rate: int = RATE) -> Tensor:
    holed = audio.clone()
    for gap in (GAP, *others):
        holed[:, gap.start : gap.stop] = torch.nan
    return match_level(made, GAP, MemorySource(holed, rate), GAP, sorted((GAP, *others)))


def middle(audio: Tensor) -> Tensor:
    return audio[:, 10_000:-10_000]


@pytest.mark.parametrize("decibels", [-12.0, -6.0, 0.0, 6.0, 16.0, 30.0])
@pytest.mark.parametrize("rate", [RATE, 96_000])
def test_the_level_is_that_of_the_surroundings(decibels: float, rate: int) -> None:
    audio = 0.02 * noise(2, 160_000)
    made = 0.02 * 10 ** (decibels / 20) * noise(2, GAP.length, seed=1)
    found = leveled(audio, made, rate=rate)
    assert found.shape == made.shape
    assert level_db(middle(found)) == pytest.approx(level_db(audio), abs=1)
    # the ends stay what they are
    assert torch.allclose(found[:, :20], made[:, :20], rtol=0.1, atol=1e-3)
    assert torch.allclose(found[:, -20:], made[:, -20:], rtol=0.1, atol=1e-3)


def test_what_has_died_away_is_raised_as_far_as_it_takes() -> None:
    audio = 0.02 * noise(2, 160_000)
    # to 45 dB below in the middle
    decay = torch.linspace(0, 45, GAP.length // 2).neg().div(20)
    made = 0.02 * noise(2, GAP.length, seed=1) * 10 ** torch.cat((decay, decay.flip(0)))
    source = MemorySource(audio, RATE)
    third = slice(GAP.length // 3, -GAP.length // 3)
    found = match_level(made, GAP, source, GAP, [GAP], faded=True)
    assert level_db(found[:, third]) == pytest.approx(level_db(audio), abs=1.5)
    found = match_level(made, GAP, source, GAP, [GAP])
    assert level_db(found[:, third]) < level_db(audio) - 6


def test_a_burst_leaves_no_hole_beside_it() -> None:
    audio = 0.02 * noise(1, 160_000)
    made = 0.02 * noise(1, GAP.length, seed=1)
    made[:, 12_000:14_000] *= 10  # as drawn tokens have it
    found = leveled(audio, made)
    for part in (found[:, 20_000:26_000], found[:, 4000:9000]):
        assert level_db(part) == pytest.approx(level_db(audio), abs=1.5)
    short = Gap(GAP.start, GAP.start + 11_025)
    made = 0.02 * noise(1, short.length, seed=2)
    made[:, 1500:2500] *= 10
    found = match_level(made, short, MemorySource(audio, RATE), short, [short])
    third = found[:, short.length // 3 : -short.length // 3]
    assert level_db(third) == pytest.approx(level_db(audio), abs=3)


@pytest.mark.parametrize("backwards", [False, True])
def test_an_end_that_nothing_follows_is_no_join(backwards: bool) -> None:
    audio = 0.02 * noise(1, GAP.stop)
    made = 0.1 * noise(1, GAP.length, seed=1)
    gap = Gap(0, GAP.length) if backwards else GAP
    found = match_level(made, gap, MemorySource(audio, RATE), gap, [gap])
    found = found.flip(1) if backwards else found
    made = made.flip(1) if backwards else made
    assert level_db(found[:, -2000:]) == pytest.approx(level_db(audio), abs=1.5)
    assert torch.allclose(found[:, :20], made[:, :20], rtol=0.1, atol=1e-2)


def test_no_more_than_so_much_is_raised() -> None:
    audio = 0.1 * noise(1, 160_000)
    found = leveled(audio, 0.001 * noise(1, GAP.length, seed=1))
    assert -27 < level_db(middle(found)) - level_db(audio) < -24


def test_nothing_above_the_bandwidth_of_the_recording() -> None:
    filters = butter(8, 6000, fs=RATE, output="sos")
    low = sosfiltfilt(filters, noise(1, 160_000).double().numpy())
    audio = torch.from_numpy(0.1 * low.copy()).float()
    found = leveled(audio, 0.05 * noise(1, GAP.length, seed=1))
    power = torch.fft.rfft(middle(found)[0].double()).abs().square()
    cut = round(12_000 * 2 / RATE * len(power))
    assert 10 * math.log10(power[cut:].sum() / power.sum()) < -50


def test_a_fade_goes_on() -> None:
    line = torch.linspace(0, -40, 160_000)
    audio = 0.1 * noise(1, 160_000) * 10 ** (line / 20)
    found = leveled(audio, 0.02 * noise(1, GAP.length, seed=1))
    for part in range(10_000, 30_000, 5000):
        here = level_db(found[:, part : part + 5000])
        true = level_db(audio[:, GAP.start + part : GAP.start + part + 5000])
        assert here == pytest.approx(true, abs=3)


def test_other_gaps_and_ends_are_no_surroundings() -> None:
    audio = 0.02 * noise(1, 160_000)
    made = 0.005 * noise(1, GAP.length, seed=1)
    other = Gap(GAP.stop + 8000, GAP.stop + 30_000)
    assert level_db(middle(leveled(audio, made, other))) == pytest.approx(level_db(audio), abs=1)
    alone = audio[:, : GAP.stop]
    assert level_db(middle(leveled(alone, made))) == pytest.approx(level_db(audio), abs=1)
    # nothing known: nothing changed
    bare = Gap(0, 160_000)
    source = MemorySource(audio, RATE)
    assert torch.equal(match_level(made, GAP, source, GAP, [bare]), made)
    assert math.isnan(relative_level(made, source, GAP, [bare]))


def test_relative_level() -> None:
    audio = 0.1 * noise(1, 160_000)
    source = MemorySource(audio, RATE)
    made = 0.05 * noise(1, GAP.length, seed=1)
    assert relative_level(made, source, GAP, [GAP]) == pytest.approx(-6, abs=0.2)
    assert math.isnan(relative_level(made, MemorySource(0 * audio, RATE), GAP, [GAP]))


def test_peaks_are_limited_and_the_rest_is_not() -> None:
    audio = 0.3 * noise(2, 20_000)
    found = limit_peaks(audio, 0.9, RATE)
    assert found.abs().max() <= 0.9
    assert torch.equal(limit_peaks(audio, 9.0, RATE), audio)
    assert limit_peaks(audio[:, :0], 0.5, RATE).shape == (2, 0)
    one = 0.1 * noise(1, 20_000)
    one[:, 10_000] = 3
    found = limit_peaks(one, 1.0, RATE)
    assert found[0, 10_000] == pytest.approx(1, abs=1e-5)
    assert torch.equal(found[:, :9800], one[:, :9800])
    assert torch.equal(found[:, 10_200:], one[:, 10_200:])


def test_the_ceiling_is_full_scale_or_what_is_beside() -> None:
    audio = 0.1 * noise(1, 160_000)
    assert peak_ceiling(MemorySource(audio, RATE), GAP, [GAP]) == pytest.approx(0.9999)
    audio[:, GAP.stop + 100] = 1.2  # a decoder's
    assert peak_ceiling(MemorySource(audio, RATE), GAP, [GAP]) == pytest.approx(0.9999)
    audio[:, GAP.start - 100] = 1.7
    assert peak_ceiling(MemorySource(audio, RATE), GAP, [GAP]) == pytest.approx(1.7)
