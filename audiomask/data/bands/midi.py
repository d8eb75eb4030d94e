"""Arrangements of MIDI files: POP909's three tracks, or any General MIDI band."""

from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from audiomask.data.bands.drummer import play_drums
from audiomask.data.bands.guitarist import play_guitar
from audiomask.data.bands.midi_file import POP909_TRACKS, MidiSong, parse_midi
from audiomask.data.bands.players import play_bass, play_other
from audiomask.data.bands.score import (
    RANGES,
    Arrangement,
    Bar,
    Chord,
    Note,
    humanize,
    into_range,
)

_TEMPLATES = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 7, 10), (0, 4, 7, 11), (0, 5, 7))


def read_midi(
    path: Path | str, rng: np.random.Generator, start: float = 0.0, seconds: float | None = None
) -> Arrangement:
    """An arrangement of a MIDI file, or of the excerpt [start, start + seconds) of it.

    A POP909 song is arranged for a band: the piano as written, the melody or an accompaniment on
    guitar, and random bass and drums that follow its harmony. The notes of any other file are
    sorted into stems by General MIDI program. Stems without notes are left out, all of them in a
    silent excerpt.

    Args:
        path: the file.
        rng: random numbers.
        start: of the excerpt, in seconds.
        seconds: duration of the excerpt; to the end by default.

    Raises:
        DataError: the file is no MIDI file, or has no notes.
    """
    song = parse_midi(str(path))
    rnd = Random(int(rng.integers(2**62)))
    end = float(song.beats[-1]) + 60.0 if seconds is None else start + seconds
    if set(song.parts) <= set(POP909_TRACKS):
        arrangement = _arrange(song, _chroma_of(str(path)), rnd, start, end)
    else:
        arrangement = {stem: _cut(song.parts[stem], stem, start, end) for stem in song.parts}
    return {stem: notes for stem, notes in arrangement.items() if notes}


def _cut(rows: NDArray[np.float64], stem: str, start: float, end: float) -> list[Note]:
    """The notes with onsets in [start, end), in seconds from ``start``.

    Pitches are moved by octaves into the stem's range.
    """
    low, high = RANGES[stem]
    inside = rows[(rows[:, 0] >= start) & (rows[:, 0] < end)]
    notes = []
    for onset, duration, pitch, velocity in inside.tolist():
        if stem == "drums" and not low <= pitch <= high:
            continue  # not in General MIDI's percussion map
        key = int(pitch) if stem == "drums" else into_range(int(pitch), low, high)
        notes.append(Note(onset - start, min(duration, end - onset), key, int(velocity)))
    return notes


def _arrange(
    song: MidiSong, chroma: NDArray[np.float64], rnd: Random, start: float, end: float
) -> Arrangement:
    """An arrangement of a POP909 song; see :func:`read_midi`."""
    piano = song.parts.get("PIANO", np.zeros((0, 4)))
    melody = song.melody
    sections = _sections(song, chroma, rnd, start, end)
    times = song.beats - start
    numbers = np.arange(len(times), dtype=np.float64)

    def seconds_at(beat: float) -> float:
        return float(np.interp(beat, numbers, times))

    def compose_stem(stem: str) -> list[Note]:
        player = {"guitar": play_guitar, "bass": play_bass, "drums": play_drums,
                  "other": play_other}[stem]  # fmt: skip
        events = [e for bars in sections for e in player(bars, Random(rnd.randrange(2**32)))]
        events = [e for e in events if seconds_at(e[0]) >= 0.0]
        return humanize(events, stem, seconds_at, rnd, timing_std=timing_std, seconds=end - start)

    timing_std = rnd.uniform(0.002, 0.01)
    plays_melody = len(piano) > 0 and rnd.random() < 0.35
    arrangement = {"piano": _cut(piano, "piano", start, end)}
    arrangement["guitar"] = (
        _cut(melody, "guitar", start, end) if plays_melody else compose_stem("guitar")
    )
    arrangement["bass"] = compose_stem("bass")
    arrangement["drums"] = compose_stem("drums") if rnd.random() < 0.9 else []
    if rnd.random() < 0.35:
        sung = not plays_melody and rnd.random() < 0.7
        arrangement["other"] = _cut(melody, "other", start, end) if sung else compose_stem("other")
    return arrangement


def _sections(
    song: MidiSong, chroma: NDArray[np.float64], rnd: Random, start: float, end: float
) -> list[list[Bar]]:
    """Sections of eight 4/4 bars over [start, end) in seconds, with the song's harmony."""
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
        halves = [
            _fit_chord(chroma[at : at + 2].sum(0)),
            _fit_chord(chroma[at + 2 : at + 4].sum(0)),
        ]
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
    """Chroma [beats, 12]: beats that each pitch class sounds for; low notes count twice."""
    chroma = np.zeros((len(beats), 12))
    for onset, duration, pitch, _ in rows.tolist():
        begin = max(0, int(np.searchsorted(beats, onset + 0.06)) - 1)
        until = int(np.searchsorted(beats, onset + min(duration, 4.0) - 0.06))
        chroma[begin : max(until, begin + 1), int(pitch) % 12] += 2.0 if pitch < 52 else 1.0
    return chroma


def _fit_chord(chroma: NDArray[np.float64]) -> Chord:
    """The chord that fits a chroma vector [12] best."""
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
    """The chroma of a POP909 song, cached by path."""
    song = parse_midi(path)
    return _chroma(song.beats, song.harmony)
