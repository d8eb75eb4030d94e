"""Notes, chords and bars: what the players of a band read and write.

Players work in beats (quarter notes) and return *events*; :func:`perform` turns those into
:class:`Note` objects in seconds, with swing and a human's small errors of timing and touch.
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
"""Lowest and highest MIDI pitch of every stem (General MIDI percussion keys for drums)."""

Event = tuple[float, float, int, int]
"""Onset in beats, length in beats, pitch, velocity (not yet clipped to a range)."""


@dataclass(frozen=True, slots=True)
class Note:
    """One played note: ``onset`` and ``duration`` in seconds, MIDI ``pitch`` and ``velocity``."""

    onset: float
    duration: float
    pitch: int
    velocity: int


Arrangement = dict[str, list[Note]]
"""The notes of every stem, sorted by onset: guitar, piano, bass, drums and perhaps other."""


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord: ``root`` and ``bass`` as pitch classes, ``intervals`` in semitones over the root."""

    root: int
    intervals: tuple[int, ...]
    bass: int

    @property
    def classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, root first."""
        return tuple((self.root + i) % 12 for i in self.intervals)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it starts and how long it is (beats), metre, harmony, place in the song.

    ``chords`` holds (offset in beats, length in beats, chord) and covers the bar. ``energy`` is
    0..1; ``opening`` marks a section's first bar and ``closing`` its last one (room for a fill).
    """

    start: float
    beats: float
    metre: str
    tempo: float
    chords: tuple[tuple[float, float, Chord], ...]
    scale: tuple[int, ...]
    energy: float
    opening: bool = False
    closing: bool = False

    @property
    def pulse(self) -> float:
        """Length of one felt pulse in beats: a dotted quarter in 6/8, else a quarter."""
        return 1.5 if self.metre == "6/8" else 1.0

    def chord_at(self, offset: float) -> Chord:
        """The chord that sounds ``offset`` beats into the bar."""
        found = self.chords[0][2]
        for begin, _, chord in self.chords:
            if begin <= offset + 1e-6:
                found = chord
        return found

    def velocity(self, accent: float) -> int:
        """A velocity for an ``accent`` of 0..1 at this bar's energy."""
        return int(28 + 42 * self.energy + 48 * accent)

    def seconds(self, duration: float) -> float:
        """``duration`` seconds in beats of this bar."""
        return duration * self.tempo / 60.0


def rhythm(rnd: Random, bar: Bar, step: float, density: float, syncopated: bool) -> list[float]:
    """Offsets (beats) within ``bar``, on a grid of ``step``: strong places first, or weak ones."""
    offsets = []
    for index in range(round(bar.beats / step)):
        place = index * step
        if index == 0:
            weight = 1.0
        elif place % bar.pulse < 1e-6:
            weight = 0.45 if syncopated else 0.75
        elif place % 0.5 < 1e-6:
            weight = 0.7 if syncopated else 0.45
        else:
            weight = 0.4 if syncopated else 0.2
        if rnd.random() < weight * density * 1.5:
            offsets.append(place)
    return offsets or [0.0]


def lengths(offsets: Sequence[float], beats: float) -> list[float]:
    """Beats from each offset to the next one, or to the end of the bar."""
    return [b - a for a, b in pairwise([*offsets, beats])]


def nearest(pitch_class: int, target: int) -> int:
    """The MIDI pitch of ``pitch_class`` closest to ``target``."""
    return target + (pitch_class - target + 6) % 12 - 6


def into_range(pitch: int, low: int, high: int) -> int:
    """``pitch`` moved by octaves into [low, high]."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def perform(
    events: Iterable[Event],
    stem: str,
    clock: Callable[[float], float],
    rnd: Random,
    swing: float = 0.0,
    looseness: float = 0.006,
    seconds: float | None = None,
) -> list[Note]:
    """Play ``events`` as ``stem``: ``clock`` maps beats to seconds.

    ``swing`` (0..0.17 beats) delays the off-beat eighths, ``looseness`` is the standard deviation
    of the timing in seconds. Notes that start at or after ``seconds`` are dropped, later ends are
    cut. A note ends when the same pitch is struck again, as on a real instrument.
    """
    low, high = RANGES[stem]
    lag = rnd.gauss(0.0, looseness)
    played: list[list[float]] = []
    for beat, beats, pitch, velocity in events:
        begin = clock(_swung(beat, swing))
        end = clock(_swung(beat + beats, swing))
        onset = max(0.0, begin + lag + rnd.gauss(0.0, looseness))
        if seconds is not None and onset >= seconds:
            continue
        duration = max(0.03, end - begin)
        if seconds is not None:
            duration = min(duration, seconds - onset)
        key = pitch if stem == "drums" else into_range(pitch, low, high)
        loud = min(127, max(1, round(velocity + rnd.gauss(0.0, 5.0))))
        played.append([onset, duration, key, loud])
    played.sort()
    return _unoverlapped(played)


def _swung(beat: float, swing: float) -> float:
    """``beat`` with the second half of every quarter pushed back by ``swing`` beats."""
    if swing == 0.0:
        return beat
    whole = beat // 1.0
    part = beat - whole
    if part < 0.5:
        return whole + part * (0.5 + swing) / 0.5
    return whole + 0.5 + swing + (part - 0.5) * (0.5 - swing) / 0.5


def _unoverlapped(played: list[list[float]]) -> list[Note]:
    """Notes in order of onset, each cut where its own pitch is struck again; doubles dropped."""
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
