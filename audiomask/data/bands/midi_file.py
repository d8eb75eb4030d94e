"""MIDI files: notes by stem, and beats, of POP909 songs and General MIDI files.

Notes are paired here from mido's messages. symusic's are not used: it drops notes without an end,
ignores programs set on another track and the sustain pedal, and lets notes of one pitch overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import mido
import numpy as np
from numpy.typing import NDArray

from audiomask.errors import DataError

#: names of the tracks of POP909 songs
POP909_TRACKS = ("MELODY", "BRIDGE", "PIANO")


@dataclass(frozen=True, slots=True)
class MidiSong:
    """A parsed MIDI file.

    Attributes:
        parts: notes [N, 4] by stem, or by track for POP909 songs: onset and duration in seconds,
            pitch and velocity, sorted by onset.
        beats: times of the quarter notes, in seconds.
    """

    parts: dict[str, NDArray[np.float64]]
    beats: NDArray[np.float64]

    @property
    def melody(self) -> NDArray[np.float64]:
        """The melody and bridge of a POP909 song, [N, 4]."""
        empty = np.zeros((0, 4))
        rows = np.concatenate([self.parts.get("MELODY", empty), self.parts.get("BRIDGE", empty)])
        return rows[np.argsort(rows[:, 0], kind="stable")]

    @property
    def harmony(self) -> NDArray[np.float64]:
        """The notes of a POP909 song that its chords are estimated from, [N, 4]."""
        piano = self.parts.get("PIANO")
        return self.melody if piano is None else piano


@lru_cache(maxsize=1024)
def parse_midi(path: str) -> MidiSong:
    """Parse a MIDI file; the last 1024 are cached.

    Raises:
        DataError: the file is missing, no MIDI file, or has no notes.
    """
    try:
        file = mido.MidiFile(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such MIDI file; check the path") from None
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: not a readable MIDI file ({error}); leave it out") from error
    # a channel's program may be set on another track
    programs: dict[int, int] = {}
    for message in (m for track in file.tracks for m in track if m.type == "program_change"):
        programs.setdefault(message.channel, message.program)
    tracks = [
        (str(t.name).strip().upper(), _notes_of_track(t, dict(programs))) for t in file.tracks
    ]
    played = [(name, rows) for name, rows in tracks if rows]
    if not played:
        raise DataError(f"{path}: this MIDI file has no notes; leave it out")
    pop = all(name in POP909_TRACKS for name, _ in played)
    ticks, seconds = _tempo_map(file)
    parts: dict[str, list[tuple[int, int, int, int]]] = {}
    for name, rows in played:
        for stem, begin, until, pitch, velocity in rows:
            row = (begin, until, pitch, velocity)
            parts.setdefault(name if pop else stem, []).append(row)
    arrays = {}
    for part, found in parts.items():
        table = np.array(found, dtype=np.float64)
        onset, end = np.interp(table[:, :2], ticks, seconds).T
        table[:, 0], table[:, 1] = onset, np.maximum(end - onset, 0.03)
        arrays[part] = table[np.lexsort((table[:, 2], table[:, 0]))]
    last = max(float((table[:, 0] + table[:, 1]).max()) for table in arrays.values())
    final = float(np.interp(last, seconds, ticks)) / file.ticks_per_beat
    beats = np.interp(np.arange(int(final) + 8) * file.ticks_per_beat, ticks, seconds)
    return MidiSong(arrays, beats)


def _stem_of_program(program: int, channel: int) -> str:
    """The stem of a General MIDI program (counted from 0) on a channel (9 is percussion)."""
    if channel == 9:
        return "drums"
    groups = {0: "piano", 3: "guitar", 4: "bass"}
    return groups.get(program // 8, "other")


def _notes_of_track(
    track: Iterable[mido.Message | mido.MetaMessage], programs: dict[int, int]
) -> list[tuple[str, int, int, int, int]]:
    """The notes of one track: stem, first and last tick, pitch, velocity.

    Notes released while the sustain pedal is down end with the pedal, or when the same key is
    struck again; percussion ignores the pedal.

    Args:
        track: its messages.
        programs: of the channels at its beginning.
    """
    now = 0
    pedal: set[int] = set()
    struck: dict[tuple[int, int], tuple[int, int]] = {}
    ringing: set[tuple[int, int]] = set()
    rows: list[tuple[str, int, int, int, int]] = []

    def end(key: tuple[int, int]) -> None:
        begin, velocity = struck.pop(key)
        ringing.discard(key)
        rows.append(
            (_stem_of_program(programs.get(key[0], 0), key[0]), begin, now, key[1], velocity)
        )

    for message in track:
        now += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "control_change" and message.control == 64:
            if message.value >= 64:
                pedal.add(message.channel)
            else:
                pedal.discard(message.channel)
                for key in [k for k in ringing if k[0] == message.channel]:
                    end(key)
        elif message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            if message.type == "note_on" and message.velocity > 0:
                if key in struck:
                    end(key)
                struck[key] = (now, message.velocity)
            elif key in struck and key[0] in pedal and key[0] != 9:
                ringing.add(key)
            elif key in struck:
                end(key)
    for key in list(struck):
        end(key)
    return rows


def _tempo_map(file: mido.MidiFile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ticks and seconds of the tempo changes, with a last point far beyond them."""
    changes = {0: 500_000}
    for track in file.tracks:
        now = 0
        for message in track:
            now += message.time
            if message.type == "set_tempo":
                changes[now] = message.tempo
    ticks = [0.0]
    seconds = [0.0]
    tempo = changes[0]
    for tick in sorted(changes)[1:]:
        seconds.append(seconds[-1] + (tick - ticks[-1]) * tempo / 1e6 / file.ticks_per_beat)
        ticks.append(float(tick))
        tempo = changes[tick]
    ticks.append(ticks[-1] + 1e7)
    seconds.append(seconds[-1] + 1e7 * tempo / 1e6 / file.ticks_per_beat)
    return np.array(ticks), np.array(seconds)
