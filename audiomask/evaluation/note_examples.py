"""Labelled sounds from a note bank: single notes and chords of instruments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiomask.data.bands.notes import Instrument, NoteBank
from audiomask.data.layouts.banks import find
from audiomask.data.tracks import TRAIN
from audiomask.errors import DataError

#: what is asked of a sound
TASKS = ("pitch", "family", "chord")
#: root mean square of the sounds, in dB of full scale
_RMS_DB = -20.0
#: lowest and highest MIDI pitch of single notes, and lowest root of chords
LOWEST, HIGHEST, ROOT = 36, 83, 48
#: semitones of chords above their root; roots times these are the classes
CHORDS = ((0, 4, 7), (0, 3, 7))
#: most semitones that a note is shifted
_MOST_SHIFT = 2
#: families without notes of a pitch
_UNPITCHED = ("drums",)
#: draws for each triple until its instruments share a pitch
_TRIES = 20


class LabelledSound(NamedTuple):
    """A sound and what it is.

    Attributes:
        audio: [T].
        labels: class numbers by task; single notes have a pitch and a family, chords a chord.
    """

    audio: Tensor
    labels: dict[str, int]


class Triple(NamedTuple):
    """Three sounds [T], of which x is like a and not like b in what is asked."""

    a: Tensor
    b: Tensor
    x: Tensor


class NoteExamples:
    """Sounds of a bank's instruments, as many as are wanted.

    Args:
        libraries: folders ``<stem>/<library>``.
        sample_rate: of the sounds, in Hz.
        samples: length of a sound.
        cache: folder of decoded notes.

    Raises:
        DataError: a note cannot be read, or none has a pitch.
    """

    def __init__(
        self, libraries: Sequence[Path], sample_rate: int, samples: int, cache: Path | None = None
    ) -> None:
        bank = NoteBank(libraries, cache, sample_rate)
        self.samples = samples
        pitched = {s: group for s, group in bank.instruments.items() if s not in _UNPITCHED}
        self.instruments = {
            stem: [one for one in group if _pitches(one, LOWEST, HIGHEST)]
            for stem, group in pitched.items()
        }
        self.families = [stem for stem, group in self.instruments.items() if group]
        top = ROOT + 11 + max(max(chord) for chord in CHORDS)
        self.chordal = [
            one
            for stem in self.families
            for one in self.instruments[stem]
            if len(_pitches(one, ROOT, top)) == top + 1 - ROOT
        ]
        if not self.families or not self.chordal:
            raise DataError(
                f"{libraries[0].parent.parent}: no library plays all notes from {ROOT} to {top}"
            )

    def notes(self, number: int, families: Sequence[str], seed: int) -> Iterator[LabelledSound]:
        """Single notes: a random family, then a random instrument and pitch.

        Args:
            number: of sounds.
            families: the classes, in order; those that the bank lacks do not occur.
            seed: decides the notes.
        """
        rng = np.random.default_rng([seed, 0])
        known = [family for family in families if family in self.families]
        for _ in range(number):
            family = known[rng.integers(len(known))]
            group = self.instruments[family]
            one = group[rng.integers(len(group))]
            pitches = _pitches(one, LOWEST, HIGHEST)
            pitch = pitches[rng.integers(len(pitches))]
            audio = self._play(one, [pitch], rng)
            labels = {"pitch": pitch - LOWEST, "family": families.index(family)}
            yield LabelledSound(audio, labels)

    def chords(self, number: int, seed: int) -> Iterator[LabelledSound]:
        """Major and minor triads on all roots, each on one instrument."""
        rng = np.random.default_rng([seed, 1])
        for _ in range(number):
            one = self.chordal[rng.integers(len(self.chordal))]
            root, kind = int(rng.integers(12)), int(rng.integers(len(CHORDS)))
            audio = self._play(one, [ROOT + root + step for step in CHORDS[kind]], rng)
            yield LabelledSound(audio, {"chord": 12 * kind + root})

    def family_triples(self, number: int, seed: int) -> Iterator[Triple]:
        """Notes of one pitch: a and x by two instruments of a family, b by one of another.

        Raises:
            DataError: no two instruments of a family share a pitch with one of another family.
        """
        rng = np.random.default_rng([seed, 2])
        several = [family for family in self.families if len(self.instruments[family]) > 1]
        if not several or len(self.families) < 2:
            raise DataError("ABX of families takes two families, one of two libraries, of a split")
        left = number
        for _ in range(_TRIES * number):
            if not left:
                return
            family = several[rng.integers(len(several))]
            others = [name for name in self.families if name != family]
            group, other = self.instruments[family], others[rng.integers(len(others))]
            first, third = rng.choice(len(group), 2, replace=False)
            second = self.instruments[other][rng.integers(len(self.instruments[other]))]
            trio = (group[first], second, group[third])
            pitches = set.intersection(*(set(_pitches(one, LOWEST, HIGHEST)) for one in trio))
            if pitches:
                pitch = int(rng.choice(sorted(pitches)))
                left -= 1
                yield Triple(*(self._play(one, [pitch], rng) for one in trio))
        if left:
            raise DataError("ABX of families takes instruments that share pitches")

    def chord_triples(self, number: int, seed: int) -> Iterator[Triple]:
        """Triads: a and b by one instrument, x the chord of a by another instrument.

        Raises:
            DataError: fewer than two libraries play all chords.
        """
        rng = np.random.default_rng([seed, 3])
        if len(self.chordal) < 2:
            raise DataError("ABX of chords takes two libraries of a split that play all chords")
        for _ in range(number):
            own, other = rng.choice(len(self.chordal), 2, replace=False)
            chords = rng.choice(12 * len(CHORDS), 2, replace=False)
            pitches = [[ROOT + c % 12 + step for step in CHORDS[c // 12]] for c in chords.tolist()]
            plays = ((own, pitches[0]), (own, pitches[1]), (other, pitches[0]))
            yield Triple(*(self._play(self.chordal[n], notes, rng) for n, notes in plays))

    def _play(
        self, instrument: Instrument, pitches: Sequence[int], rng: np.random.Generator
    ) -> Tensor:
        """Notes of one instrument at once, at a random velocity, [samples]."""
        velocity = int(rng.integers(40, 128))
        total = np.zeros(self.samples, dtype=np.float32)
        for pitch in pitches:
            note = instrument.nearest(pitch, velocity)
            step = 2 ** ((pitch - note.pitch) / 12)
            length = min(self.samples, int((len(note.samples) - 1) / step))
            place = np.arange(length) * step
            heard = note.samples[: int(place[-1]) + 2].astype(np.float32) if length else place
            total[:length] += np.interp(place, np.arange(len(heard)), heard)
        level = float(np.sqrt(np.mean(np.square(total, dtype=np.float64))))
        gain = 10 ** (_RMS_DB / 20) / max(level, 1e-6)
        return torch.from_numpy(total * np.float32(gain))


def _pitches(instrument: Instrument, lowest: int, highest: int) -> list[int]:
    """The pitches in a range that an instrument has a note near to."""
    own = {note.pitch for note in instrument.notes}
    near = range(-_MOST_SHIFT, _MOST_SHIFT + 1)
    return [p for p in range(lowest, highest + 1) if any(p + shift in own for shift in near)]


def split_libraries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The libraries of a note bank to learn from, and those to measure on: the split train, and all
    others.

    Raises:
        DataError: the folder is no note bank, or one of the two is empty.
    """
    source = find(folder)
    if source is None or not source.libraries:
        raise DataError(f"{folder}: is no note bank (guitar/LIBRARY/60_v100.wav)")
    learned = [path for path, split in source.libraries if split == TRAIN]
    held_out = [path for path, split in source.libraries if split != TRAIN]
    if not learned or not held_out:
        raise DataError(f"{folder}: has {len(learned)} libraries in train, {len(held_out)} others")
    return learned, held_out
