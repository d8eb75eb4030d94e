"""Bands: an item is decided by (seed, index), its stems sum to the mixture, notes sound in time."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.data.bands import dataset as bands
from audiomask.data.bands.dataset import (
    LEAD_IN,
    BandDataset,
    PlannedNote,
    choose_sample,
    playable_samples,
)
from audiomask.data.bands.notes import Instrument, NoteBank, Sample, find_libraries
from audiomask.data.bands.render_plan import RELEASE_SAMPLES, RenderPlan
from audiomask.data.bands.rendering import add_notes
from audiomask.data.bands.score import Note
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.mastering import Master

STEMS = ("guitar", "piano", "bass", "drums")
SAMPLES = 44_100
UNMASTERED = Master(math.inf, 1.0, 0.0)


def band(
    bank: Path, stems: tuple[str, ...] = STEMS, seed: int = 3, only: str = ""
) -> InterleavedDataset:
    libraries = [path for path in find_libraries(bank) if path.parent.name.startswith(only)]
    notes = NoteBank(libraries)
    data = BandDataset(notes, stems, SAMPLES, seed)
    return InterleavedDataset([data], seed, stems, SAMPLES, torch.from_numpy(notes.samples))


@pytest.fixture(scope="module")
def data(bank: Path) -> InterleavedDataset:
    return band(bank)


@pytest.fixture(scope="module")
def players(data: InterleavedDataset, bank: Path) -> BandDataset:
    """Those of ``data``, on their instruments as recorded."""
    return BandDataset(NoteBank(find_libraries(bank)), STEMS, SAMPLES, 3, formant_shift=False)


def test_an_item_is_its_seed_and_index(data: InterleavedDataset, bank: Path) -> None:
    item: Excerpt = data.excerpt(5)
    assert all(torch.equal(a, b) for a, b in zip(item, band(bank).excerpt(5), strict=True))
    assert not torch.equal(item.mixture, data.excerpt(6).mixture)
    assert not torch.equal(item.mixture, band(bank, seed=4).excerpt(5).mixture)
    assert len(data.parts[0]) > 1e9  # type: ignore[arg-type]


def test_stems_sum_to_the_mixture_and_all_of_them_play(data: InterleavedDataset) -> None:
    heard = torch.zeros(5)
    for index in range(12):
        mixture, stems, has_stems = data.excerpt(index)
        assert mixture.shape == (1, SAMPLES)
        assert stems.shape == (5, 1, SAMPLES)
        assert bool(has_stems)
        assert torch.allclose(stems.sum(dim=0), mixture, atol=1e-6)
        assert float(mixture.abs().max()) <= 0.9901
        heard += stems.abs().amax(dim=(1, 2)) > 1e-4
    assert (heard > 0).all()
    assert (heard[:4] >= 6).all()


def test_voices_sing_every_other_melody_and_change_nothing_else(bank: Path, tmp_path: Path) -> None:
    instruments = tmp_path / "bank"
    shutil.copytree(bank, instruments, ignore=shutil.ignore_patterns("vocals"))
    plain, voices = (
        BandDataset(NoteBank(find_libraries(folder)), STEMS, SAMPLES, 3)
        for folder in (instruments, bank)
    )
    sung = played = 0
    for index in range(120):
        found, without = (
            players.arrange(np.random.default_rng([3, index]), 5.0) for players in (voices, plain)
        )
        assert "vocals" not in without
        sung, played = sung + ("vocals" in found), played + ("other" in found)
        if "vocals" in found:
            found["other"] = found.pop("vocals")
        assert found == without
    assert min(sung, played) >= 8


def test_stems_that_are_not_asked_for_are_the_rest(bank: Path) -> None:
    few = band(bank, ("drums",))
    heard = [few.excerpt(index).stems.abs().amax(dim=(1, 2)) > 1e-4 for index in range(4)]
    assert torch.stack(heard).any(dim=0).tolist() == [True, True]
    assert few.excerpt(0).stems.shape == (2, 1, SAMPLES)


def test_a_bank_without_an_instrument_leaves_its_stem_silent(bank: Path) -> None:
    only = band(bank, only="piano")
    stems = torch.stack([only.excerpt(index).stems for index in range(6)])
    assert not stems[:, [0, 2, 3, 4]].any()
    assert stems[:, 1].any()


def test_nobody_who_plays_is_silence(bank: Path) -> None:
    nobody = band(bank, only="other").parts[0]
    assert isinstance(nobody, BandDataset)
    nobody.arrange = lambda rng, seconds: {"guitar": [Note(5.0, 1.0, 60, 100)]}  # type: ignore[method-assign]
    plan = nobody[0]
    assert (plan.lines, plan.items, len(plan.start)) == (0, 1, 0)
    silent = InterleavedDataset([nobody], 0, STEMS, SAMPLES, torch.from_numpy(nobody.bank.samples))
    assert not silent.excerpt(0).mixture.any()


def test_half_of_the_lines_are_inverted(players: BandDataset) -> None:
    levels = torch.cat([players[index].level for index in range(60)])
    assert 0.35 < float((levels < 0).float().mean()) < 0.65


def test_music_plays_to_the_end_at_every_speed(
    data: InterleavedDataset, players: BandDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the second half of a second is as loud as the first, over many items
    halves = torch.zeros(2)
    for index in range(40):
        halves += data.excerpt(index).mixture[0].square().view(2, -1).mean(dim=1)
    assert 0.6 < float(halves[1] / halves[0]) < 1.6
    asked = []
    monkeypatch.setattr(players, "arrange", lambda rng, seconds: (asked.append(seconds), {})[1])
    players[0]
    assert asked == [pytest.approx(bands.MAX_SPEED * (LEAD_IN + 1))]


def play(data: BandDataset, notes: list[Note], stem: str = "piano", speed: float = 1.0):
    """What the stem plays of some notes, when no note is left to ring, [samples]."""
    placed: list[PlannedNote] = data.play(notes, stem, np.random.default_rng(1), 0.0, speed)
    effects = bands.sample_effects(["piano"], np.random.default_rng(0), 0.5, 44_100)
    plan: RenderPlan = data.plan(["piano"], [placed], [1.0], effects, UNMASTERED, -20.0)
    return add_notes(plan, data.bank.samples, SAMPLES)[0]


def test_a_note_sounds_at_its_time_and_pitch(players: BandDataset) -> None:
    audio = play(players, [Note(LEAD_IN + 0.25, 0.3, 69, 127)])
    onset = SAMPLES // 4
    assert not audio[: onset - 1].any()
    assert np.abs(audio[onset : onset + 2_000]).max() > 0.2
    ring = round(0.3 * SAMPLES) + RELEASE_SAMPLES
    assert not audio[onset + ring + 1 :].any()
    # it dies smoothly, from when its key is up
    fading, held = audio[onset + ring - 200 :][:200], audio[onset : onset + round(0.3 * SAMPLES)]
    assert np.abs(fading).max() < 0.01 * np.abs(held[-500:]).max()
    spectrum = np.abs(np.fft.rfft(audio[onset : onset + 11_025]))
    assert abs(spectrum.argmax() * 4 - 440) <= 8
    # played faster, what is written later sounds then, and is held for less
    faster = play(players, [Note(1.25 * (LEAD_IN + 0.25), 0.375, 69, 127)], speed=1.25)
    np.testing.assert_array_equal(faster, audio)


def test_a_note_from_before_the_excerpt_rings_into_it(players: BandDataset) -> None:
    assert np.abs(play(players, [Note(LEAD_IN - 0.2, 0.5, 69, 127)])[:4_000]).max() > 0.05
    assert not play(players, [Note(LEAD_IN - 0.5, 0.1, 69, 127)]).any()


def test_a_note_that_rings_beyond_the_excerpt_is_cut_not_faded(players: BandDataset) -> None:
    early = play(players, [Note(LEAD_IN + 0.2, 0.5, 69, 127)])
    late = play(players, [Note(LEAD_IN + 0.9, 0.5, 69, 127)])
    start, shift = round(0.2 * SAMPLES), round(0.7 * SAMPLES)
    np.testing.assert_array_equal(late[start + shift :], early[start : SAMPLES - shift])


def test_velocity_is_loudness(players: BandDataset) -> None:
    loud, soft = (play(players, [Note(LEAD_IN, 0.3, 69, v)]) for v in (120, 60))
    assert np.abs(loud).max() == pytest.approx(2**1.5 * np.abs(soft).max(), rel=1e-3)


def test_nobody_to_play_is_nothing(players: BandDataset) -> None:
    rng = np.random.default_rng(0)
    assert players.play([Note(LEAD_IN, 0.3, 69, 100)], "tuba", rng, 0.0, 1.0) == []
    assert players.play([], "piano", rng, 0.0, 1.0) == []


def test_a_note_is_moved_an_octave_at_most() -> None:
    piano = Instrument("piano", "a", [Sample(60, 100, np.zeros(1_000, np.int16))])
    for pitch, expected in ((60, 1_000), (72, 498), (48, 1_997), (73, None), (47, None)):
        found = choose_sample(piano, Note(0, 1, pitch, 100), 0.0, 0)
        assert (None if found is None else playable_samples(*found)) == expected


def test_a_neighbours_recording_sounds_at_the_notes_pitch() -> None:
    recorded = [Sample(p, 100, np.zeros(1_000, np.int16), start=p) for p in range(50, 71, 2)]
    piano = Instrument("piano", "a", recorded)
    for transpose in (-4, 0, 3):
        found = choose_sample(piano, Note(0, 1, 60, 100), 0.0, 0, transpose)
        assert found is not None
        sample, ratio = found
        assert abs(sample.pitch - 60 - transpose) <= 1
        assert sample.pitch + 12 * np.log2(ratio) == pytest.approx(60)
    kit = Instrument("drums", "kit", pieces={"snare": [Sample(38, 100, np.zeros(9, np.int16))]})
    assert choose_sample(kit, Note(0, 1, 38, 100), 0.0, 0, 4) == (kit.pieces["snare"][0], 1.0)


def test_instruments_are_varied_only_where_that_is_asked_for(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def spy(*arguments: object) -> None:
        asked.append(int(str(arguments[4])))

    monkeypatch.setattr(bands, "choose_sample", spy)
    note = [Note(LEAD_IN, 0.3, 60, 100)]
    for formant_shift in (True, False):
        asked.clear()
        players = BandDataset(
            NoteBank(find_libraries(bank)), STEMS, SAMPLES, formant_shift=formant_shift
        )
        rng = np.random.default_rng(0)
        for _ in range(100):
            players.play(note, "guitar", rng, 0.0, 1.0)
        expected = (
            set(range(-bands.MAX_TRANSPOSE, bands.MAX_TRANSPOSE + 1)) if formant_shift else {0}
        )
        assert set(asked) == expected
    assert len(asked) == 100


def test_a_note_is_never_read_beyond_its_end() -> None:
    for length in (0, 1, 2, 3, 100):
        sample = Sample(60, 100, np.zeros(length, np.int16))
        for ratio in (0.5, 0.77, 1.0, 1.3, 2.0):
            number = playable_samples(sample, ratio)
            assert number >= 0
            if number:
                last = int((number - 1) * ratio)
                assert last + (0 if ratio == 1 else 1) < length


def test_makers_play_equally_often_whatever_they_made(bank: Path, tmp_path: Path) -> None:
    for library in ("big-024", "big-025", "big-026", "big-027", "mine"):
        shutil.copytree(bank / "guitar" / "nylon", tmp_path / "guitar" / library)
    players = BandDataset(NoteBank(find_libraries(tmp_path)), ("guitar",), SAMPLES)
    spans = [
        (one.library, one.notes[0].start, one.notes[-1].start)
        for one in players.bank.instruments["guitar"]
    ]
    note, rng = [Note(LEAD_IN, 0.3, 60, 100)], np.random.default_rng(0)
    starts = [players.play(note, "guitar", rng, 0.0, 1.0)[0].start for _ in range(400)]
    owners = [next(name for name, low, high in spans if low <= s <= high) for s in starts]
    assert 160 < owners.count("mine") < 240
    assert {owners.count(f"big-{number:03d}") > 25 for number in range(24, 28)} == {True}
