"""MIDI files: which stem plays a note, and how long, where files leave that to the reader."""

from pathlib import Path

import mido
import pytest

from audiomask.data.bands.midi_file import parse_midi


def on(pitch: int, time: int = 0, channel: int = 2) -> mido.Message:
    return mido.Message("note_on", note=pitch, velocity=80, time=time, channel=channel)


def off(pitch: int, time: int = 0, channel: int = 2) -> mido.Message:
    return mido.Message("note_off", note=pitch, time=time, channel=channel)


def program(number: int) -> mido.Message:
    return mido.Message("program_change", program=number, channel=2)


def pedal(value: int, time: int = 0, channel: int = 2) -> mido.Message:
    return mido.Message("control_change", control=64, value=value, time=time, channel=channel)


#: tracks of messages, 480 ticks to half a second, and the (onset, duration, pitch) of each stem
CASES = {
    "a program on another track": (
        [[program(33)], [on(40), off(40, 480)]],
        {"bass": [(0, 0.5, 40)]},
    ),
    "a program that comes after the first note": (
        [[on(40), off(40, 480), program(24), on(41), off(41, 480)]],
        {"guitar": [(0, 0.5, 40), (0.5, 0.5, 41)]},
    ),
    "a program that changes": (
        [[program(0), on(40), off(40, 480), program(24), on(41), off(41, 480)]],
        {"piano": [(0, 0.5, 40)], "guitar": [(0.5, 0.5, 41)]},
    ),
    "a note that never ends": (
        [[on(60), on(62, 480), off(62, 480)]],
        {"piano": [(0, 1, 60), (0.5, 0.5, 62)]},
    ),
    "a note struck again": (
        [[on(60), on(60, 240), off(60, 240), off(60, 240)]],
        {"piano": [(0, 0.25, 60), (0.25, 0.25, 60)]},
    ),
    "a note struck again under the pedal": (
        [[pedal(127), on(60), off(60, 240), on(60, 240), off(60, 240), pedal(0, 240)]],
        {"piano": [(0, 0.5, 60), (0.5, 0.5, 60)]},
    ),
    "drums under the pedal": (
        [[pedal(127, channel=9), on(36, channel=9), off(36, 480, 9), pedal(0, 480, 9)]],
        {"drums": [(0, 0.5, 36)]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_notes_and_stems(tmp_path: Path, case: str) -> None:
    tracks, expected = CASES[case]
    mido.MidiFile(ticks_per_beat=480, tracks=list(map(mido.MidiTrack, tracks))).save(
        tmp_path / "a.mid"
    )
    parts = parse_midi(str(tmp_path / "a.mid")).parts
    found = {stem: [tuple(row[:3]) for row in rows.tolist()] for stem, rows in parts.items()}
    assert found == {
        stem: [pytest.approx(note) for note in notes] for stem, notes in expected.items()
    }
