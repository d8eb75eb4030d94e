"""Note banks: what is read, which note is nearest, what stands in for a missing drum."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.errors import DataError
from audiomask.training.data.notes import (
    PIECES,
    STAND_INS,
    Instrument,
    NoteBank,
    Sample,
    find_libraries,
    read_library,
    read_note,
)

NOTHING = np.zeros(1, np.int16)


def test_a_bank_holds_every_library_by_stem(bank: Path) -> None:
    found = NoteBank([bank])
    names = {stem: [i.library for i in group] for stem, group in found.instruments.items()}
    assert names == {
        "bass": ["finger"],
        "drums": ["kit"],
        "guitar": ["nylon", "steel"],
        "other": ["flute"],
        "piano": ["upright"],
    }
    assert found.num_notes == sum(1 for _ in bank.rglob("*.wav"))
    assert sorted(found.instruments["drums"][0].pieces) == ["hat", "kick", "snare"]
    libraries = ["finger", "kit", "nylon", "steel", "flute", "upright"]
    assert [path.name for path in find_libraries(bank)] == libraries


def test_libraries_may_be_left_out(bank: Path) -> None:
    found = NoteBank([bank], exclude=["guitar/steel", "other/flute"])
    assert [i.library for i in found.instruments["guitar"]] == ["nylon"]
    assert "other" not in found.instruments


def test_two_banks_are_one(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "guitar/third").mkdir(parents=True)
    soundfile.write(tmp_path / "guitar/third/60_v90.flac", np.ones(10) / 2, 44_100)
    found = NoteBank([bank, tmp_path])
    assert [i.library for i in found.instruments["guitar"]] == ["nylon", "steel", "third"]


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
        NoteBank([tmp_path])
    (tmp_path / "guitar" / "a").mkdir(parents=True)
    (tmp_path / "guitar" / "a" / "60_v90.wav").write_text("text")
    with pytest.raises(DataError, match=r"60_v90\.wav: not a readable note"):
        NoteBank([tmp_path])


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
    notes = [Sample(p, v, NOTHING) for p, v in ((60, 40), (60, 120), (64, 80))]
    instrument = Instrument("piano", "a", notes)
    assert instrument.nearest(61, 100) is notes[1]
    assert instrument.nearest(59, 30) is notes[0]
    assert instrument.nearest(70, 30) is notes[2]


def kit(**pieces: list[Sample]) -> Instrument:
    return Instrument("drums", "a", pieces=pieces)


def test_a_drum_is_its_piece_or_what_is_like_it() -> None:
    kick, tom = Sample(-1, 100, NOTHING), Sample(-2, 100, NOTHING)
    assert kit(kick=[kick], tom=[tom]).drum(36, 100, 0) is kick
    assert kit(tom=[tom]).drum(36, 100, 0) is tom  # stands in
    assert kit(tom=[tom]).drum(42, 100, 0) is None  # nothing like a hi-hat
    assert kit(tom=[tom]).drum(99, 100, 0) is tom  # an unknown key is a tom
    stand_ins = {name for names in STAND_INS.values() for name in names}
    assert set(STAND_INS) == set(PIECES.values())
    assert stand_ins - set(STAND_INS) == {"cajon", "tabla"}  # only found in libraries of notes


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
