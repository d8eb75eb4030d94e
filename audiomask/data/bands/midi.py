"""Arrangements of MIDI files: POP909's three tracks, or any General MIDI band."""

from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from audiomask.data.bands.drummer import play_drums
from audiomask.data.bands.guitarist import play_guitar
from audiomask.data.bands.midi_file import POP909, MidiSong, parse_midi
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

_TEMPLATES = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 7, 10), (0, 4, 7, 11), (0, 5, 7))


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
    song = parse_midi(str(path))
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
    song: MidiSong, chroma: NDArray[np.float64], rnd: Random, start: float, end: float
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
    song: MidiSong, chroma: NDArray[np.float64], rnd: Random, start: float, end: float
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
    best, found = -np.inf, Chord(0, _TEMPLATES[0], 0)
    for intervals in _TEMPLATES:
        for root in range(12):
            inside = float(sum(chroma[(root + i) % 12] for i in intervals))
            score = inside - 0.5 * (total - inside) - 0.12 * total * len(intervals)
            score += 0.3 * float(chroma[root])
            if score > best:
                best, found = score, Chord(root, intervals, root)
    return found


@lru_cache(maxsize=1024)
def _chroma_of(path: str) -> NDArray[np.float64]:
    """The chroma of a POP909 song's harmony, which every arrangement of it starts from."""
    song = parse_midi(path)
    return _chroma(song.beats, song.harmony)
