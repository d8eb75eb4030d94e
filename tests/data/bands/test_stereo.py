"""Bands in stereo: lines have places, some are doubled, some bands are of several songs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.data.bands import dataset as bands
from audiomask.data.bands.dataset import LEAD_IN, BandDataset, Part
from audiomask.data.bands.notes import NoteBank, find_libraries
from audiomask.data.bands.score import Note
from audiomask.data.interleave import InterleavedDataset

STEMS = ("guitar", "piano", "bass", "drums")
SAMPLES = 22_050


@pytest.fixture(scope="module")
def notes(bank: Path) -> NoteBank:
    return NoteBank(find_libraries(bank))


@pytest.fixture(scope="module")
def band(notes: NoteBank) -> BandDataset:
    return BandDataset(notes, STEMS, SAMPLES, 3, channels=2)


@pytest.fixture(scope="module")
def data(band: BandDataset) -> InterleavedDataset:
    samples = torch.from_numpy(band.bank.samples)
    return InterleavedDataset([band], 3, STEMS, SAMPLES, samples, channels=2)


def test_stems_sum_to_the_mixture_on_both_channels(data: InterleavedDataset) -> None:
    compressed = limited = wide = 0
    for index in range(16):
        plan, (mixture, stems, has_stems) = data[index], data.excerpt(index)
        compressed += bool(plan.master[0, 0].isfinite())  # type: ignore[union-attr]
        limited += bool(plan.master[0, 2] > 0)  # type: ignore[union-attr]
        assert mixture.shape == (2, SAMPLES)
        assert stems.shape == (5, 2, SAMPLES)
        assert bool(has_stems)
        assert torch.allclose(stems.sum(dim=0), mixture, atol=1e-6)
        assert float(mixture.abs().max()) <= 0.9901
        wide += float((mixture[0] - mixture[1]).square().mean()) > 1e-3 * float(
            mixture.square().mean()
        )
    assert wide >= 14
    assert min(compressed, limited) > 0


def test_mono_bands_have_one_channel_and_no_places(notes: NoteBank) -> None:
    mono = BandDataset(notes, STEMS, SAMPLES, 3)
    for index in range(8):
        plan = mono[index]
        assert plan.effects.gain.shape == (plan.lines, 1)
        assert plan.effects.reverb.shape[:2] == (1, 1)
        assert (plan.effects.gain == 1).all()
        assert not plan.effects.spread.any()


def test_lines_have_places_and_basses_stay_in_the_middle(band: BandDataset) -> None:
    places: dict[int, list[float]] = {slot: [] for slot in range(5)}
    for index in range(60):
        plan = band[index]
        assert plan.effects.gain.shape == (plan.lines, 2)
        power = plan.effects.gain.square().sum(dim=1)
        assert torch.allclose(power, torch.full_like(power, 2.0), atol=1e-4)
        for slot, (left, right) in zip(plan.slot.tolist(), plan.effects.gain.tolist(), strict=True):
            places[slot].append(right - left)
    guitar, bass = np.array(places[0]), np.array(places[2])
    assert np.abs(bass).max() < 0.4
    assert guitar.min() < -0.7
    assert guitar.max() > 0.7


def test_doubled_lines_are_played_twice_on_opposite_sides(band: BandDataset) -> None:
    part = Part("guitar", [Note(LEAD_IN + n / 10, 0.1, 60, 100) for n in range(4)], 0.1, 1.0)
    doubled = detuned = 0
    for seed in range(200):
        takes = band.takes(part, np.random.default_rng(seed))
        if len(takes) == 1:
            assert takes[0][1] is None  # a place is still to be drawn
            continue
        (first, pan), (second, other) = takes
        doubled += 1
        assert pan is not None
        assert other == -pan
        assert 0.4 <= abs(pan) <= 1
        # the same notes, nearly at the same time, never exactly
        shifts = [b.onset - a.onset for a, b in zip(first, second, strict=True)]
        assert any(shifts)
        assert max(map(abs, shifts)) < 5 * bands.TIMING_STD * 44_100
        same = [a.start == b.start for a, b in zip(first, second, strict=True)]
        if all(same):  # on the same instrument: a little out of tune with it
            cents = 1200 * np.log2(second[0].ratio / first[0].ratio)
            detuned += 0 < abs(cents) < 20
    assert doubled / 200 == pytest.approx(bands.DOUBLE_TRACKING_PROB["guitar"], abs=0.09)
    assert detuned > 0.5 * doubled


def test_doubled_lines_are_of_equal_level_in_one_stem(band: BandDataset) -> None:
    found = 0
    for index in range(60):
        plan = band[index]
        for slot in range(4):
            levels = plan.level[plan.slot == slot]
            if len(levels) == 2:
                found += 1
                assert levels[0] == levels[1]
                gains = plan.effects.gain[plan.slot == slot]
                assert torch.allclose(gains[0], gains[1].flip(0), atol=1e-5)
            assert len(levels) <= 2
    assert found > 5


@pytest.mark.parametrize("stem", ["bass", "drums"])
def test_basses_and_drums_are_not_doubled(band: BandDataset, stem: str) -> None:
    part = Part(stem, [Note(LEAD_IN, 0.1, 38, 100)], 0.0, 1.0)
    assert all(len(band.takes(part, np.random.default_rng(seed))) == 1 for seed in range(50))


def test_in_mono_nothing_is_doubled(notes: NoteBank) -> None:
    mono = BandDataset(notes, STEMS, SAMPLES, 3)
    part = Part("guitar", [Note(LEAD_IN, 0.1, 60, 100)], 0.0, 1.0)
    assert all(len(mono.takes(part, np.random.default_rng(seed))) == 1 for seed in range(50))


# Incoherent bands


def tempi(band: BandDataset, seed: int) -> tuple[int, int]:
    """How many tempi and tunings a band's parts have, and how many parts there are."""
    parts = band.parts(np.random.default_rng(seed))
    return len({(part.speed, part.tuning) for part in parts}), len(parts)


def test_coherent_bands_play_one_song(band: BandDataset) -> None:
    found = [tempi(band, seed) for seed in range(20)]
    assert {songs for songs, _ in found} == {1}


def test_incoherent_bands_play_several_songs_at_once(notes: NoteBank) -> None:
    band = BandDataset(notes, STEMS, SAMPLES, 3, channels=2, incoherent=1.0)
    found = [tempi(band, seed) for seed in range(40)]
    assert max(songs for songs, _ in found) == 3
    assert sum(songs > 1 for songs, _ in found) > 30
    for seed in range(10):
        stems = [part.stem for part in band.parts(np.random.default_rng(seed))]
        # of what is told apart each has one part; the rest plays all that there is
        assert all(stems.count(stem) <= 1 for stem in STEMS)
        assert stems.count("other") <= 3


def test_the_share_of_incoherent_bands_is_that_asked_for(notes: NoteBank) -> None:
    band = BandDataset(notes, STEMS, SAMPLES, 3, channels=2, incoherent=0.4)
    several = [tempi(band, seed)[0] > 1 for seed in range(150)]
    assert 0.22 < sum(several) / 150 < 0.5


def test_the_rest_of_incoherent_bands_is_of_all_their_songs(notes: NoteBank) -> None:
    band = BandDataset(notes, ("drums",), SAMPLES, 3, channels=2, incoherent=1.0)
    counts = []
    for seed in range(10):
        stems = [part.stem for part in band.parts(np.random.default_rng(seed))]
        counts.append(stems.count("bass"))
        assert stems.count("drums") <= 1
    assert max(counts) >= 2
