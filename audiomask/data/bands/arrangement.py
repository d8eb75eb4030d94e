"""Arrangements: random songs for guitar, piano, bass, drums and others, decided by a seed."""

from random import Random

import numpy as np

from audiomask.data.bands.drummer import play_drums
from audiomask.data.bands.guitarist import play_guitar
from audiomask.data.bands.midi import read_midi
from audiomask.data.bands.players import play_bass, play_other, play_piano
from audiomask.data.bands.score import (
    RANGES,
    Arrangement,
    Bar,
    Chord,
    Event,
    Note,
    humanize,
)

__all__ = ["RANGES", "Arrangement", "Note", "compose", "read_midi"]

_PLAYERS = {
    "guitar": play_guitar,
    "piano": play_piano,
    "bass": play_bass,
    "drums": play_drums,
    "other": play_other,
}
#: probability that a stem is absent from a song
ABSENCE_PROB = {"guitar": 0.25, "piano": 0.35, "bass": 0.2, "drums": 0.2, "other": 0.35}
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MODES = {
    "major": _MAJOR,
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
#: scale degrees (0 = tonic), one a bar
_PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "major": (
        (0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 4), (5, 3, 0, 4), (0, 5, 1, 4), (1, 4, 0, 0),
        (0, 3, 0, 4), (3, 4, 2, 5), (0, 2, 3, 4),
        (0, 4, 5, 2, 3, 0, 3, 4), (0, 0, 3, 0, 4, 3, 0, 4),
    ),
    "minor": (
        (0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (0, 0, 5, 6), (0, 3, 6, 2), (0, 5, 3, 4),
        (0, 6, 5, 6), (0, 4, 0, 3),
    ),
    "dorian": ((0, 3), (0, 3, 0, 6), (0, 6, 3, 0), (0, 2, 3, 0)),
    "mixolydian": ((0, 6, 3, 0), (0, 3, 6, 3), (0, 6), (0, 4, 3, 0)),
}  # fmt: skip
_FORMS = ("AABA", "ABAB", "AABB", "ABAC", "AB", "ABCB")


def compose(rng: np.random.Generator, seconds: float) -> Arrangement:
    """A random song of ``seconds``.

    Onsets are in [0, seconds), and notes end by ``seconds``. Stems without notes are left out; at
    least one has some.
    """
    rnd = Random(int(rng.integers(2**62)))
    tempo = min(180.0, max(60.0, rnd.gauss(108.0, 26.0)))
    time_signature = rnd.choices(("4/4", "3/4", "6/8"), (8, 1, 1.5))[0]
    swing = rnd.uniform(0.06, 0.17) if time_signature != "6/8" and rnd.random() < 0.25 else 0.0
    sections = _sections(rnd, tempo, time_signature, seconds)
    timing_std = rnd.uniform(0.002, 0.012)
    playing = [stem for stem in _PLAYERS if rnd.random() > ABSENCE_PROB[stem]] or ["guitar"]
    rest_prob = rnd.choice((0.0, 0.0, 0.05, 0.15))
    arrangement: Arrangement = {}
    for stem in playing:
        events = _stem_events(stem, sections, rnd, rest_prob)
        notes = humanize(
            events, stem, lambda beat: beat * 60.0 / tempo, rnd, swing, timing_std, seconds
        )
        if notes:
            arrangement[stem] = notes
    # in a short song all stems may have rests only
    if not arrangement:
        events = play_guitar(sections[0][1], rnd)
        arrangement["guitar"] = humanize(
            events, "guitar", lambda beat: beat * 60.0 / tempo, rnd, 0.0, timing_std, seconds
        )
    return arrangement


def _stem_events(
    stem: str, sections: list[tuple[str, list[Bar]]], rnd: Random, rest_prob: float
) -> list[Event]:
    """One stem's events; repeated sections are mostly played alike.

    Args:
        stem: its name.
        sections: letters and bars of the song's sections.
        rnd: random numbers.
        rest_prob: probability that the stem rests in a bar.
    """
    seeds: dict[str, int] = {}
    events: list[Event] = []
    for letter, bars in sections:
        seed = seeds.setdefault(letter, rnd.randrange(2**32))
        if rnd.random() < 0.15:
            seed = rnd.randrange(2**32)
        if len(sections) > 1 and rnd.random() < (0.4 if stem == "other" else 0.1):
            continue
        silent = {bar.start for bar in bars if rnd.random() < rest_prob}
        spans = [(bar.start, bar.start + bar.beats) for bar in bars if bar.start in silent]
        for event in _PLAYERS[stem](bars, Random(seed)):
            if not any(begin <= event[0] < end for begin, end in spans):
                events.append(event)
    return events


def _sections(
    rnd: Random, tempo: float, time_signature: str, seconds: float
) -> list[tuple[str, list[Bar]]]:
    """Lettered sections of bars that cover ``seconds``."""
    beats = 4.0 if time_signature == "4/4" else 3.0
    tonic = rnd.randrange(12)
    mode = rnd.choices(tuple(_MODES), (5, 4, 1, 1))[0]
    sevenths = rnd.choice((0.0, 0.1, 0.3, 0.9))
    form = rnd.choice(_FORMS)
    length = rnd.choice((2, 4, 4, 4, 8))
    harmonies = {
        letter: _harmony(rnd, tonic, mode, sevenths, beats, length) for letter in sorted(set(form))
    }
    energies = {letter: rnd.uniform(0.15, 1.0) for letter in harmonies}
    scale = tuple((tonic + s) % 12 for s in _MODES[mode])
    sections = []
    start, index = 0.0, 0
    while start * 60.0 / tempo < seconds:
        letter = form[index % len(form)]
        bars = []
        for number, chords in enumerate(harmonies[letter]):
            bars.append(
                Bar(
                    start, beats, time_signature, tempo, chords, scale, energies[letter],
                    opening=number == 0, closing=number == length - 1,
                )
            )  # fmt: skip
            start += beats
        sections.append((letter, bars))
        index += 1
    return sections


def _harmony(
    rnd: Random, tonic: int, mode: str, sevenths: float, beats: float, length: int
) -> list[tuple[tuple[float, float, Chord], ...]]:
    """The chords of a section's bars: a progression with one or two chords a bar."""
    degrees = rnd.choice(_PROGRESSIONS[mode])
    per_bar = rnd.choices((1, 2), (5, 1))[0]
    half = beats / 2 if beats == 4.0 else 1.5
    bars = []
    for number in range(length):
        spans = []
        for index in range(per_bar):
            degree = degrees[(number * per_bar + index) % len(degrees)]
            begin = index * half
            until = beats if index == per_bar - 1 else half
            spans.append((begin, until - begin, _chord(rnd, tonic, mode, degree, sevenths)))
        bars.append(tuple(spans))
    return bars


def _chord(rnd: Random, tonic: int, mode: str, degree: int, sevenths: float) -> Chord:
    """The triad on a scale degree, sometimes with a seventh or ninth, suspended or inverted."""
    scale = _MODES[mode]

    def above(steps: int) -> int:
        octaves, step = divmod(degree + steps, 7)
        return scale[step] + 12 * octaves - scale[degree]

    intervals = [0, above(2), above(4)]
    if mode == "minor" and degree == 4 and rnd.random() < 0.6:
        intervals[1] = 4  # the leading note of the harmonic minor
    chance = rnd.random()
    if rnd.random() < sevenths:
        intervals.append(above(6))
    elif chance < 0.06:
        intervals[1] = 5
    elif chance < 0.12:
        intervals.append(14)
    root = (tonic + scale[degree]) % 12
    bass = (root + intervals[1]) % 12 if rnd.random() < 0.07 else root
    return Chord(root, tuple(intervals), bass)
