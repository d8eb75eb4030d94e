"""Scores: notes, chords, bars and events.

Parts are composed as events in beats (quarter notes). :func:`humanize` makes notes in seconds of
them, with swing and random deviations of timing and velocity.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

RANGES: dict[str, tuple[int, int]] = {
    "guitar": (40, 88),
    "piano": (24, 104),
    "bass": (28, 60),
    "drums": (35, 81),
    "other": (36, 96),
}
"""Lowest and highest MIDI pitch of a stem; General MIDI percussion keys for drums."""

Event = tuple[float, float, int, int]
"""Onset and length in beats, pitch, velocity; the last two may be out of range."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note: ``onset`` and ``duration`` in seconds, MIDI ``pitch`` and ``velocity``."""

    onset: float
    duration: float
    pitch: int
    velocity: int


Arrangement = dict[str, list[Note]]
"""Notes by stem, sorted by onset."""


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord.

    Attributes:
        root, bass: pitch classes.
        intervals: semitones above the root.
    """

    root: int
    intervals: tuple[int, ...]
    bass: int

    @property
    def classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, root first."""
        return tuple((self.root + i) % 12 for i in self.intervals)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a song.

    Attributes:
        start, beats: its start and length, in beats.
        time_signature: "4/4", "3/4" or "6/8".
        tempo: in beats a minute.
        chords: offset and length in beats, and the chord; they cover the bar.
        scale: pitch classes of the key.
        energy: 0 … 1, for the velocities.
        opening, closing: whether it is the first or the last of its section.
    """

    start: float
    beats: float
    time_signature: str
    tempo: float
    chords: tuple[tuple[float, float, Chord], ...]
    scale: tuple[int, ...]
    energy: float
    opening: bool = False
    closing: bool = False

    @property
    def pulse(self) -> float:
        """Length of a pulse in beats: a dotted quarter in 6/8, else a quarter."""
        return 1.5 if self.time_signature == "6/8" else 1.0

    def chord_at(self, offset: float) -> Chord:
        """The chord at an offset in beats."""
        found = self.chords[0][2]
        for begin, _, chord in self.chords:
            if begin <= offset + 1e-6:
                found = chord
        return found

    def velocity(self, accent: float) -> int:
        """The MIDI velocity of an accent of 0 … 1 at this bar's energy."""
        return int(28 + 42 * self.energy + 48 * accent)

    def seconds(self, duration: float) -> float:
        """The length in beats of a duration in seconds."""
        return duration * self.tempo / 60.0


def rhythm(rnd: Random, bar: Bar, step: float, density: float, syncopated: bool) -> list[float]:
    """A random rhythm: offsets in a bar, in beats.

    Args:
        rnd: random numbers.
        bar: the bar.
        step: of the grid, in beats.
        density: factor of the probability of notes.
        syncopated: prefer weak positions of the grid to strong ones.
    """
    offsets = []
    for index in range(round(bar.beats / step)):
        offset = index * step
        if index == 0:
            weight = 1.0
        elif offset % bar.pulse < 1e-6:
            weight = 0.45 if syncopated else 0.75
        elif offset % 0.5 < 1e-6:
            weight = 0.7 if syncopated else 0.45
        else:
            weight = 0.4 if syncopated else 0.2
        if rnd.random() < weight * density * 1.5:
            offsets.append(offset)
    return offsets or [0.0]


def lengths(offsets: Sequence[float], beats: float) -> list[float]:
    """Beats from each offset to the next, or to the end of the bar."""
    return [b - a for a, b in pairwise([*offsets, beats])]


def nearest(pitch_class: int, target: int) -> int:
    """The MIDI pitch of a pitch class that is nearest to ``target``."""
    return target + (pitch_class - target + 6) % 12 - 6


def into_range(pitch: int, low: int, high: int) -> int:
    """A pitch moved by octaves into [low, high]."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def humanize(
    events: Iterable[Event],
    stem: str,
    seconds_at: Callable[[float], float],
    rnd: Random,
    swing: float = 0.0,
    timing_std: float = 0.006,
    seconds: float | None = None,
) -> list[Note]:
    """Notes of events, with swing and random deviations of timing and velocity.

    Notes are cut where their pitch is struck again.

    Args:
        events: in beats.
        stem: whose range pitches are moved into.
        seconds_at: maps beats to seconds.
        rnd: random numbers.
        swing: delay of off-beat eighths, in beats.
        timing_std: standard deviation of onsets, in seconds.
        seconds: duration of the song, where notes are cut.

    Returns:
        Sorted by onset.
    """
    low, high = RANGES[stem]
    lag = rnd.gauss(0.0, timing_std)
    played: list[list[float]] = []
    for beat, beats, pitch, velocity in events:
        begin = seconds_at(_apply_swing(beat, swing))
        end = seconds_at(_apply_swing(beat + beats, swing))
        onset = max(0.0, begin + lag + rnd.gauss(0.0, timing_std))
        if seconds is not None and onset >= seconds:
            continue
        duration = max(0.03, end - begin)
        if seconds is not None:
            duration = min(duration, seconds - onset)
        key = pitch if stem == "drums" else into_range(pitch, low, high)
        loud = min(127, max(1, round(velocity + rnd.gauss(0.0, 5.0))))
        played.append([onset, duration, key, loud])
    played.sort()
    return _cut_overlaps(played)


def _apply_swing(beat: float, swing: float) -> float:
    """A beat with the off-beat eighth of every quarter delayed by ``swing`` beats."""
    if swing == 0.0:
        return beat
    whole = beat // 1.0
    part = beat - whole
    if part < 0.5:
        return whole + part * (0.5 + swing) / 0.5
    return whole + 0.5 + swing + (part - 0.5) * (0.5 - swing) / 0.5


def _cut_overlaps(played: list[list[float]]) -> list[Note]:
    """Sorted notes, each cut where its pitch is struck again; those of under 30 ms are dropped."""
    following: dict[float, float] = {}
    notes = []
    for onset, duration, pitch, velocity in reversed(played):
        again = following.get(pitch)
        if again is not None:
            if again - onset < 0.03:
                continue
            duration = min(duration, again - onset)
        following[pitch] = onset
        notes.append(Note(onset, duration, int(pitch), int(velocity)))
    notes.reverse()
    return notes
