"""Bands: an item is decided by (seed, index), its stems sum to the mixture, notes sound in time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.training.data import bands
from audiomask.training.data.bands import LEAD_IN, BandDataset, release, sound, stretch
from audiomask.training.data.notes import Instrument, NoteBank, Sample
from audiomask.training.data.score import Note

STEMS = ("guitar", "piano", "bass", "drums")
SAMPLES = 44_100


@pytest.fixture(scope="module")
def data(bank: Path) -> BandDataset:
    return BandDataset(NoteBank([bank]), STEMS, SAMPLES, seed=3)


def test_an_item_is_its_seed_and_index(data: BandDataset, bank: Path) -> None:
    again = BandDataset(data.bank, STEMS, SAMPLES, seed=3)
    other = BandDataset(data.bank, STEMS, SAMPLES, seed=4)
    item = data[5]
    assert all(torch.equal(a, b) for a, b in zip(item, again[5], strict=True))
    assert not torch.equal(item.mixture, data[6].mixture)
    assert not torch.equal(item.mixture, other[5].mixture)
    assert len(data) > 1e9


def test_stems_sum_to_the_mixture_and_all_of_them_play(data: BandDataset) -> None:
    heard = torch.zeros(5)
    for index in range(12):
        mixture, stems, separated = data[index]
        assert mixture.shape == (SAMPLES,)
        assert stems.shape == (5, SAMPLES)
        assert bool(separated)
        assert torch.allclose(stems.sum(dim=0), mixture, atol=1e-6)
        assert float(mixture.abs().max()) <= 0.9901
        heard += stems.abs().amax(dim=1) > 1e-4
    assert (heard > 0).all()
    assert (heard[:4] >= 6).all()


def test_stems_that_are_not_asked_for_are_the_rest(data: BandDataset) -> None:
    few = BandDataset(data.bank, ("drums",), SAMPLES, seed=3)
    heard = [few[index].stems.abs().amax(dim=1) > 1e-4 for index in range(4)]
    assert torch.stack(heard).any(dim=0).tolist() == [True, True]
    for index in range(4):
        assert few[index].stems.shape == (2, SAMPLES)


def test_a_bank_without_an_instrument_leaves_its_stem_silent(bank: Path) -> None:
    only = BandDataset(NoteBank([bank], exclude=[
        "guitar/nylon", "guitar/steel", "bass/finger", "drums/kit", "other/flute"
    ]), STEMS, SAMPLES)  # fmt: skip
    for index in range(4):
        assert not only[index].stems[[0, 2, 3, 4]].any()


def test_music_plays_to_the_end_at_every_speed(data: BandDataset) -> None:
    # the second half of a second is as loud as the first, over many items
    halves = torch.zeros(2)
    for index in range(40):
        halves += data[index].mixture.square().view(2, -1).mean(dim=1)
    assert 0.6 < float(halves[1] / halves[0]) < 1.6
    asked = []
    watched = BandDataset(data.bank, STEMS, SAMPLES)
    watched.arrange = lambda rng, seconds: (asked.append(seconds), {})[1]
    watched[0]
    assert asked == [pytest.approx(bands.FASTEST * (LEAD_IN + 1))]


def play(data: BandDataset, notes: list[Note], stem: str = "piano", speed: float = 1.0):
    """What the stem plays of some notes, when no note is left to ring."""
    return data.play(notes, stem, np.random.default_rng(1), 0.0, speed)


def test_a_note_sounds_at_its_time_and_pitch(data: BandDataset) -> None:
    audio = play(data, [Note(LEAD_IN + 0.25, 0.3, 69, 127)])
    assert audio is not None
    assert audio.shape == (SAMPLES,)
    onset = SAMPLES // 4
    assert not audio[: onset - 1].any()
    assert np.abs(audio[onset : onset + 2_000]).max() > 0.2
    ring = round((0.3 + bands.RELEASE) * SAMPLES)
    assert not audio[onset + ring + 1 :].any()
    # it dies smoothly, from when its key is up
    fading, held = audio[onset + ring - 200 :][:200], audio[onset : onset + round(0.3 * SAMPLES)]
    assert np.abs(fading).max() < 0.01 * np.abs(held[-500:]).max()
    spectrum = np.abs(np.fft.rfft(audio[onset : onset + 11_025]))
    assert abs(spectrum.argmax() * 4 - 440) <= 8
    # played faster, what is written later sounds then, and is held for less
    faster = play(data, [Note(1.25 * (LEAD_IN + 0.25), 0.375, 69, 127)], speed=1.25)
    np.testing.assert_array_equal(faster, audio)


def test_a_note_from_before_the_excerpt_rings_into_it(data: BandDataset) -> None:
    long = play(data, [Note(LEAD_IN - 0.2, 0.5, 69, 127)])
    assert long is not None
    assert np.abs(long[:4_000]).max() > 0.05
    short = play(data, [Note(LEAD_IN - 0.5, 0.1, 69, 127)])
    assert short is not None
    assert not short.any()


def test_velocity_is_loudness(data: BandDataset) -> None:
    loud, soft = (play(data, [Note(LEAD_IN, 0.3, 69, v)]) for v in (120, 60))
    assert np.abs(loud).max() == pytest.approx(2**1.5 * np.abs(soft).max(), rel=1e-3)


def test_nobody_to_play_is_none(data: BandDataset) -> None:
    assert play(data, [Note(LEAD_IN, 0.3, 69, 100)], "tuba") is None
    assert play(data, []) is None


def test_stretch_by_hand() -> None:
    samples = (np.arange(9) * 3276.8).astype(np.int16)
    np.testing.assert_allclose(stretch(samples, 1.0), np.arange(7) / 10, atol=1e-4)
    np.testing.assert_allclose(stretch(samples, 2.0), [0, 0.2, 0.4], atol=1e-4)
    half = stretch(samples, 0.5)
    np.testing.assert_allclose(half, np.arange(len(half)) / 20, atol=1e-4)
    assert len(half) == 15
    assert len(stretch(samples[:1], 1.5)) == 0


def test_a_sound_is_moved_an_octave_at_most() -> None:
    wave = np.zeros(1_000, np.int16)
    piano = Instrument("piano", "a", [Sample(60, 100, wave)])
    for pitch, expected in ((60, 998), (72, 498), (48, 1_997), (73, None), (47, None)):
        found = sound(piano, Note(0, 1, pitch, 100), 0.0, 0, 10_000)
        assert (None if found is None else len(found)) == expected
    # no more than what is heard of it is made
    limited = sound(piano, Note(0, 1, 72, 100), 0.0, 0, 100)
    assert limited is not None
    assert 98 <= len(limited) <= 101


def test_release_fades_what_is_held_no_longer() -> None:
    tone = np.ones(20_000, np.float32)
    out = release(tone, 5_000)
    fade = round(bands.RELEASE * 44_100)
    assert len(out) == 5_000 + fade
    assert (out[:5_000] == 1).all()
    assert (np.diff(out[5_000:]) < 0).all()
    assert out[-1] == 0
    assert (tone == 1).all()  # the note itself is kept for the next time
    assert release(tone, 19_000) is tone
