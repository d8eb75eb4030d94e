"""Arrangements read from MIDI files: POP909's three tracks, or any General MIDI band."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import mido
import numpy as np
from numpy.typing import NDArray

from audiomask.data.bands.drummer import play_drums
from audiomask.data.bands.guitarist import play_guitar
from audiomask.data.bands.players import play_bass, play_other
from audiomask.data.bands.score import (
    RANGES,
    Arrangement,
    Bar,
    Chord,
    Note,
    into_range,
    perform,
)
from audiomask.errors import DataError

POP909 = ("MELODY", "BRIDGE", "PIANO")
TEMPLATES = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 7, 10), (0, 4, 7, 11), (0, 5, 7))


@dataclass(frozen=True, slots=True)
class Song:
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


def read_midi(
    path: Path | str, rng: np.random.Generator, start: float = 0.0, seconds: float | None = None
) -> Arrangement:
    """Arrange the excerpt [start, start + seconds) of a MIDI file (all of it without ``seconds``).

    A POP909 file is arranged for a band: piano as played; guitar plays the melody and bridge, or
    accompanies the piano's harmony; bass and drums are made up over it. Any other file keeps its
    notes, sorted into stems by General MIDI program. Stems without a note are left out, so the
    result may be empty for a silent excerpt. Raises DataError when the file is no MIDI file, or
    has no notes at all.
    """
    song = _parse(str(path))
    rnd = Random(int(rng.integers(2**62)))
    end = float(song.beats[-1]) + 60.0 if seconds is None else start + seconds
    if set(song.parts) <= set(POP909):
        arrangement = _arrange(song, _chroma_of(str(path)), rnd, start, end)
    else:
        arrangement = {stem: _cut(song.parts[stem], stem, start, end) for stem in song.parts}
    return {stem: notes for stem, notes in arrangement.items() if notes}


def _cut(rows: NDArray[np.float64], stem: str, start: float, end: float) -> list[Note]:
    """The notes that begin within [start, end), in seconds from ``start``, in the stem's range."""
    low, high = RANGES[stem]
    inside = rows[(rows[:, 0] >= start) & (rows[:, 0] < end)]
    notes = []
    for onset, duration, pitch, velocity in inside.tolist():
        if stem == "drums" and not low <= pitch <= high:
            continue  # a key outside General MIDI's percussion map has no agreed sound
        key = int(pitch) if stem == "drums" else into_range(int(pitch), low, high)
        notes.append(Note(onset - start, min(duration, end - onset), key, int(velocity)))
    return notes


def _arrange(
    song: Song, chroma: NDArray[np.float64], rnd: Random, start: float, end: float
) -> Arrangement:
    """A band around a POP909 song: see :func:`read_midi`."""
    piano = song.parts.get("PIANO", np.zeros((0, 4)))
    tune = song.tune
    sections = _sections(song, chroma, rnd, start, end)
    times = song.beats - start
    numbers = np.arange(len(times), dtype=np.float64)

    def clock(beat: float) -> float:
        return float(np.interp(beat, numbers, times))

    def made(stem: str) -> list[Note]:
        player = {"guitar": play_guitar, "bass": play_bass, "drums": play_drums,
                  "other": play_other}[stem]  # fmt: skip
        events = [e for bars in sections for e in player(bars, Random(rnd.randrange(2**32)))]
        events = [e for e in events if clock(e[0]) >= 0.0]
        return perform(events, stem, clock, rnd, looseness=looseness, seconds=end - start)

    looseness = rnd.uniform(0.002, 0.01)
    plays_tune = len(piano) > 0 and rnd.random() < 0.35
    arrangement = {"piano": _cut(piano, "piano", start, end)}
    arrangement["guitar"] = _cut(tune, "guitar", start, end) if plays_tune else made("guitar")
    arrangement["bass"] = made("bass")
    arrangement["drums"] = made("drums") if rnd.random() < 0.9 else []
    if rnd.random() < 0.35:
        sung = not plays_tune and rnd.random() < 0.7
        arrangement["other"] = _cut(tune, "other", start, end) if sung else made("other")
    return arrangement


def _sections(
    song: Song, chroma: NDArray[np.float64], rnd: Random, start: float, end: float
) -> list[list[Bar]]:
    """Bars of four beats over [start, end), in sections of eight, with the song's harmony."""
    beats, rows = song.beats, song.harmony
    low = rows[rows[:, 2] < 55]
    onsets = np.searchsorted(beats, low[:, 0] + 0.06) - 1
    weight = low[:, 1].clip(max=2.0) * low[:, 3]
    phase = int(np.argmax([weight[onsets % 4 == p].sum() for p in range(4)])) if len(low) else 0
    scale = tuple(int(c) for c in np.argsort(-chroma.sum(0), kind="stable")[:7])
    sections: list[list[Bar]] = []
    begin = max(0, int(np.searchsorted(beats, start)) - 4)
    first = begin + (phase - begin) % 4 if begin else phase
    for number, at in enumerate(range(first, len(beats) - 4, 4)):
        if beats[at] >= end:
            break
        if number % 8 == 0:
            sections.append([])
        halves = [_guess(chroma[at : at + 2].sum(0)), _guess(chroma[at + 2 : at + 4].sum(0))]
        chords: tuple[tuple[float, float, Chord], ...] = (
            (0.0, 2.0, halves[0]),
            (2.0, 2.0, halves[1]),
        )
        if halves[0] == halves[1]:
            chords = ((0.0, 4.0, halves[0]),)
        sections[-1].append(
            Bar(
                float(at), 4.0, "4/4", 240.0 / max(0.1, float(beats[at + 4] - beats[at])),
                chords, scale, rnd.uniform(0.3, 0.8) if number % 8 == 0 else sections[-1][0].energy,
                opening=number % 8 == 0, closing=number % 8 == 7,
            )
        )  # fmt: skip
    return sections


def _chroma(beats: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """How long each pitch class sounds in each beat [beats, 12]; low notes count more."""
    chroma = np.zeros((len(beats), 12))
    for onset, duration, pitch, _ in rows.tolist():
        begin = max(0, int(np.searchsorted(beats, onset + 0.06)) - 1)
        until = int(np.searchsorted(beats, onset + min(duration, 4.0) - 0.06))
        chroma[begin : max(until, begin + 1), int(pitch) % 12] += 2.0 if pitch < 52 else 1.0
    return chroma


def _guess(chroma: NDArray[np.float64]) -> Chord:
    """The chord that explains a chroma vector [12] best."""
    total = float(chroma.sum())
    best, found = -np.inf, Chord(0, TEMPLATES[0], 0)
    for intervals in TEMPLATES:
        for root in range(12):
            inside = float(sum(chroma[(root + i) % 12] for i in intervals))
            score = inside - 0.5 * (total - inside) - 0.12 * total * len(intervals)
            score += 0.3 * float(chroma[root])
            if score > best:
                best, found = score, Chord(root, intervals, root)
    return found


def _stem(program: int, channel: int) -> str:
    """The stem of a General MIDI program (counted from 0) on a channel (9 is percussion)."""
    if channel == 9:
        return "drums"
    groups = {0: "piano", 3: "guitar", 4: "bass"}
    return groups.get(program // 8, "other")


@lru_cache(maxsize=1024)
def _chroma_of(path: str) -> NDArray[np.float64]:
    """The chroma of a POP909 song's harmony, which every arrangement of it starts from."""
    song = _parse(path)
    return _chroma(song.beats, song.harmony)


@lru_cache(maxsize=1024)
def _parse(path: str) -> Song:
    """Read a file once; data loaders come back to the same songs again and again."""
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
    tracks = [(str(t.name).strip().upper(), _played(t, dict(programs))) for t in file.tracks]
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
    return Song(arrays, beats)


def _played(track: Iterable[Any], programs: dict[int, int]) -> list[tuple[str, int, int, int, int]]:
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
        rows.append((_stem(programs.get(key[0], 0), key[0]), begin, now, key[1], velocity))

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


def _tempo_map(file: "mido.MidiFile") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
