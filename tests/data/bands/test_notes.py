"""Note banks: what is read, which note is nearest, what stands in for a missing drum."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.data.bands import notes
from audiomask.data.bands.notes import (
    PIECES,
    SUBSTITUTES,
    Instrument,
    NoteBank,
    Sample,
    all_samples,
    find_libraries,
    read_library,
    read_note,
)
from audiomask.errors import DataError

NOTHING = np.zeros(1, np.int16)


def test_a_bank_holds_every_library_by_stem(bank: Path) -> None:
    found = NoteBank(find_libraries(bank))
    names = {stem: [i.library for i in group] for stem, group in found.instruments.items()}
    assert names == {
        "bass": ["finger"],
        "drums": ["kit"],
        "guitar": ["nylon", "steel"],
        "other": ["flute"],
        "piano": ["upright"],
        "vocals": ["choir"],
    }
    assert found.num_notes == sum(1 for _ in bank.rglob("*.wav"))
    assert sorted(found.instruments["drums"][0].pieces) == ["hat", "kick", "snare"]
    libraries = ["finger", "kit", "nylon", "steel", "flute", "upright", "choir"]
    assert [path.name for path in find_libraries(bank)] == libraries


def test_two_banks_are_one(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "guitar/third").mkdir(parents=True)
    soundfile.write(tmp_path / "guitar/third/60_v90.flac", np.ones(10) / 2, 44_100)
    found = NoteBank([*find_libraries(bank), *find_libraries(tmp_path)])
    assert [i.library for i in found.instruments["guitar"]] == ["nylon", "steel", "third"]


def all_notes(bank: NoteBank) -> list[tuple[str, str, int, int]]:
    return [
        (stem, one.library, sample.pitch, sample.velocity)
        for stem, group in bank.instruments.items()
        for one in group
        for sample in all_samples(one)
    ]


def test_notes_lie_end_to_end_and_know_where(bank: Path) -> None:
    found = NoteBank(find_libraries(bank))
    reached = 0
    for group in found.instruments.values():
        for one in group:
            for sample in all_samples(one):
                part = found.samples[sample.start : sample.start + len(sample.samples)]
                np.testing.assert_array_equal(part, sample.samples)
                reached += len(part)
    assert reached == len(found.samples)
    piano = min(found.instruments["piano"][0].notes, key=lambda sample: sample.pitch)
    file = bank / "piano" / "upright" / f"{piano.pitch}_v100.wav"
    np.testing.assert_array_equal(piano.samples, read_note(file))


def test_decoded_notes_are_kept_and_noticed_when_they_change(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bank, tmp_path / "bank")
    cache = tmp_path / "cache"
    libraries = find_libraries(tmp_path / "bank")
    plain, first = NoteBank(libraries), NoteBank(libraries, cache)
    kept = list(cache.iterdir())
    assert len(kept) == 1  # and nothing half-made beside it
    monkeypatch.setattr(notes, "read_note", lambda file: pytest.fail("decoded again"))
    again = NoteBank(libraries, cache)
    for other in (first, again):
        assert all_notes(other) == all_notes(plain)
        np.testing.assert_array_equal(other.samples, plain.samples)
    monkeypatch.undo()
    soundfile.write(libraries[0] / "33_v90.wav", np.ones(10) / 2, 44_100)
    changed = NoteBank(libraries, cache)
    assert changed.num_notes == plain.num_notes + 1
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_one_line(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="cannot store notes"):
        NoteBank(find_libraries(bank), tmp_path / "cache")


def test_no_room_in_the_cache_is_said_and_leaves_nothing(
    bank: Path, tmp_path: Path, limited: Callable[[int], AbstractContextManager[None]]
) -> None:
    with limited(1_000), pytest.raises(DataError, match=r"notes there \(File too large\)"):
        NoteBank(find_libraries(bank), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_files_of_other_names_are_left_out(tmp_path: Path) -> None:
    library = tmp_path / "guitar" / "a"
    library.mkdir(parents=True)
    for name in ("60_v90.wav", "60.wav", "README_v1.wav", "61_v90.wav.bak"):
        soundfile.write(library / name, np.ones(10) / 2, 44_100, format="WAV")
    (library / "62_v90.txt").write_text("no note")
    instrument = read_library(library)
    assert [(s.pitch, s.velocity) for s in instrument.notes] == [(60, 90)]


def test_no_notes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no notes"):
        NoteBank([])
    (tmp_path / "guitar" / "a").mkdir(parents=True)
    (tmp_path / "guitar" / "a" / "60_v90.wav").write_text("text")
    with pytest.raises(DataError, match=r"60_v90\.wav: not a readable note"):
        NoteBank(find_libraries(tmp_path))


def test_notes_are_mono_at_one_rate_and_begin_at_their_onset(tmp_path: Path) -> None:
    file = tmp_path / "60_v90.wav"
    note = np.zeros((2_000, 2))
    note[1_000:] = [0.2, 0.6]
    soundfile.write(file, note, 44_100, subtype="FLOAT")
    found = read_note(file)
    assert found.dtype == np.int16
    assert len(found) == 1_000 + 64  # a little before the onset stays
    assert found[:64].tolist() == [0] * 64
    assert set(found[64:].tolist()) == {round(0.4 * 32767)}
    soundfile.write(file, np.full((24_000, 1), 0.5), 48_000)
    assert abs(len(read_note(file)) - 22_050) < 70
    soundfile.write(file, np.zeros(100), 44_100)
    assert not read_note(file).any()


def test_the_nearest_note_in_pitch_then_velocity() -> None:
    held = [Sample(p, v, NOTHING) for p, v in ((60, 40), (60, 120), (64, 80))]
    instrument = Instrument("piano", "a", held)
    assert instrument.nearest(61, 100) is held[1]
    assert instrument.nearest(59, 30) is held[0]
    assert instrument.nearest(70, 30) is held[2]


def kit(**pieces: list[Sample]) -> Instrument:
    return Instrument("drums", "a", pieces=pieces)


def test_a_drum_is_its_piece_or_what_is_like_it() -> None:
    kick, tom = Sample(-1, 100, NOTHING), Sample(-2, 100, NOTHING)
    assert kit(kick=[kick], tom=[tom]).drum(36, 100, 0) is kick
    assert kit(tom=[tom]).drum(36, 100, 0) is tom  # stands in
    assert kit(tom=[tom]).drum(42, 100, 0) is None  # nothing like a hi-hat
    assert kit(tom=[tom]).drum(99, 100, 0) is tom  # an unknown key is a tom
    substitutes = {name for names in SUBSTITUTES.values() for name in names}
    assert set(SUBSTITUTES) == set(PIECES.values())
    assert substitutes - set(SUBSTITUTES) == {"cajon", "tabla"}  # only found in libraries of notes


def test_kits_that_know_keys_give_the_key_and_the_velocity() -> None:
    samples = [Sample(k, v, NOTHING) for k, v in ((38, 60), (38, 120), (40, 100))]
    instrument = kit(snare=samples)
    assert instrument.drum(38, 110, 5) is samples[1]
    assert instrument.drum(38, 50, 5) is samples[0]
    assert instrument.drum(40, 50, 5) is samples[2]


def test_the_choice_picks_among_the_pieces() -> None:
    samples = [Sample(-1 - n, 100, NOTHING) for n in range(3)]
    instrument = kit(snare=samples)
    assert len({id(instrument.drum(38, 100, choice)) for choice in range(3)}) == 3
    assert instrument.drum(38, 90, 7) is instrument.drum(38, 30, 7)  # the same all through a song


def test_names_with_keys_and_velocities_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "drums" / "a"
    folder.mkdir(parents=True)
    for name in ("kick_036_v100", "kick_035_v020", "snare_open", "hat"):
        soundfile.write(folder / f"{name}.ogg", np.ones(1_000) / 2, 44_100)
    pieces = read_library(folder).pieces
    assert sorted((s.pitch, s.velocity) for s in pieces["kick"]) == [(35, 20), (36, 100)]
    assert pieces["snare"][0].pitch < 0
    assert pieces["hat"][0].pitch != pieces["snare"][0].pitch
