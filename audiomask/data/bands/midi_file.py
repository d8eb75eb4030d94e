"""MIDI files: the notes, stems and beats of POP909's songs, or of any General MIDI band.

mido gives the messages. What plays when is worked out here: symusic, which gives notes, drops those
that never end, does not look for a program on another track, lets notes of one pitch overlap, and
leaves the sustain pedal to others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import mido
import numpy as np
from numpy.typing import NDArray

from audiomask.errors import DataError

#: the tracks of POP909's songs
POP909 = ("MELODY", "BRIDGE", "PIANO")


@dataclass(frozen=True, slots=True)
class MidiSong:
    """A parsed MIDI file.

    ``parts`` maps a POP909 track name, or a stem's name, to notes [n, 4]: onset and duration in
    seconds, pitch, velocity, sorted by onset. ``beats`` are the seconds of every quarter note.
    """

    parts: dict[str, NDArray[np.float64]]
    beats: NDArray[np.float64]

    @property
    def tune(self) -> NDArray[np.float64]:
        """A POP909 song's melody and bridge, [n, 4]."""
        empty = np.zeros((0, 4))
        rows = np.concatenate([self.parts.get("MELODY", empty), self.parts.get("BRIDGE", empty)])
        return rows[np.argsort(rows[:, 0], kind="stable")]

    @property
    def harmony(self) -> NDArray[np.float64]:
        """What a POP909 song's chords are read from, [n, 4]: its piano, or else its tune."""
        piano = self.parts.get("PIANO")
        return self.tune if piano is None else piano


@lru_cache(maxsize=1024)
def parse_midi(path: str) -> MidiSong:
    """Read a file once; data loaders come back to the same songs again and again.

    Raises:
        DataError: there is no such file, it is no MIDI file, or it has no notes.
    """
    try:
        file = mido.MidiFile(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such MIDI file; check the path") from None
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: not a readable MIDI file ({error}); leave it out") from error
    # A channel's program may be set on another track than its notes.
    programs: dict[int, int] = {}
    for message in (m for track in file.tracks for m in track if m.type == "program_change"):
        programs.setdefault(message.channel, message.program)
    tracks = [
        (str(t.name).strip().upper(), _notes_of_track(t, dict(programs))) for t in file.tracks
    ]
    played = [(name, rows) for name, rows in tracks if rows]
    if not played:
        raise DataError(f"{path}: this MIDI file has no notes; leave it out")
    pop = all(name in POP909 for name, _ in played)
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

    ``programs`` maps channels to the programs they begin with. A note whose key goes up while
    the sustain pedal is down lasts until the pedal comes up, or until it is struck again.
    Percussion takes no notice of the pedal.
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
    """Ticks and their seconds at every change of tempo, and far beyond the last one."""
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
