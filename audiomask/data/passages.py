"""Passages: where in a recording an excerpt is from, and its change of pitch and tempo."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Elsewhere
from audiomask.data.time_stretch import samples_needed

#: probability that a change of pitch is varispeed, which takes far less time
_VARISPEED_PROB = 0.5


class Passage(NamedTuple):
    """A passage of a song, and its change of pitch and tempo.

    Attributes:
        start: its first sample.
        samples: to be read.
        pitch: in semitones up.
        tempo: as a factor.
        second: first sample of the passage elsewhere; None where there is none.
    """

    start: int
    samples: int
    pitch: float
    tempo: float
    second: int | None = None

    def parts(self, elsewhere: Elsewhere | None) -> list[Self]:
        """The passage, and the one elsewhere if there is one, with the same change."""
        first = self._replace(second=None)
        if elsewhere is None or self.second is None:
            return [first]
        samples = samples_needed(elsewhere.samples, self.pitch, self.tempo)
        return [first, first._replace(start=self.second, samples=samples)]


def sample_passage(
    total: int,
    samples: int,
    elsewhere: Elsewhere | None,
    augmentation: Augmentation,
    stretched: bool,
    rng: np.random.Generator,
) -> Passage:
    """A random passage of a song; from its beginning if the song is too short.

    Args:
        total: samples of the song.
        samples: of the passage, after its change of pitch and tempo.
        elsewhere: a second passage of the song; None for none.
        augmentation: how much pitch and tempo change.
        stretched: whether they change.
        rng: random numbers.
    """
    pitch, tempo = 0.0, 1.0
    if stretched:
        pitch = float(rng.uniform(-augmentation.pitch, augmentation.pitch))
        tempo = 1 + float(rng.uniform(-augmentation.tempo, augmentation.tempo))
        if rng.random() < _VARISPEED_PROB:
            tempo = 2 ** (pitch / 12)
    needed = samples_needed(samples, pitch, tempo)
    start = int(rng.integers(max(total - needed, 0) + 1))
    if elsewhere is None:
        return Passage(start, needed, pitch, tempo)
    length = samples_needed(elsewhere.samples, pitch, tempo)
    # the places before the passage, and from ``first`` on those after it
    before = max(start - elsewhere.distance - length + 1, 0)
    first = start + needed + elsewhere.distance
    places = before + max(total - length - first + 1, 0)
    if not places:
        return Passage(start, needed, pitch, tempo)
    place = int(rng.integers(places))
    second = place if place < before else first + place - before
    return Passage(start, needed, pitch, tempo, second)
