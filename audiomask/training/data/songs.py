"""Songs: an endless set of excerpts of tracks on disk, varied from visit to visit.

An item is decided by (seed, index) alone, so that any number of workers gives the same data and a
resumed run repeats none. Only what an item needs is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from audiomask.errors import DataError
from audiomask.training.data.augmentation import NONE, Augmentation
from audiomask.training.data.effects import colour, draw_colours
from audiomask.training.data.excerpt import Excerpt, mix
from audiomask.training.data.movement import move, needed
from audiomask.training.data.reading import SAMPLE_RATE, Reader
from audiomask.training.data.tracks import Track

#: how many draws of one item may meet unreadable files
ATTEMPTS = 100
#: what is heard of left and right: one of them, or both
LISTENING = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))


class Passage(NamedTuple):
    """Where in a song an excerpt is taken, and how it is moved.

    Attributes:
        start: its first sample.
        samples: how many are read.
        pitch: semitones up.
        tempo: how much faster, as a factor.
    """

    start: int
    samples: int
    pitch: float
    tempo: float


class Part(NamedTuple):
    """What one place of an excerpt is made of.

    Attributes:
        slot: the place.
        files: what is read, and summed.
        passage: where.
        left: factor of the left channel.
        right: factor of the right channel.
    """

    slot: int
    files: tuple[Path, ...]
    passage: Passage
    left: float = 0.5
    right: float = 0.5


class Lottery:
    """Tracks to draw from, each as often as it is long.

    Raises:
        DataError: all of them last no time.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.tracks = tracks
        self.until = np.cumsum([track.seconds for track in tracks])
        if not self.until[-1] > 0:
            raise DataError(f"{tracks[0].name}: lasts no time, and so do all others")

    def draw(self, rng: np.random.Generator) -> Track:
        """One track."""
        second = rng.uniform(0, self.until[-1])
        return self.tracks[int(np.searchsorted(self.until[:-1], second, side="right"))]


class TrackDataset(Dataset[Excerpt]):
    """Excerpts of tracks: mixture and stems, 44.1 kHz mono.

    A file that cannot be read is named once, and its song's excerpts are replaced by others.

    Args:
        tracks: songs with stems, plain recordings, or both.
        stems: the stems to tell apart; a track's others are summed in the last place.
        samples: length of an excerpt.
        seed: with the index, decides everything.
        augmentation: how excerpts are varied; with ``NONE`` they keep their level as well.

    Raises:
        DataError: the tracks last no time; while reading, nothing of them can be read.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        stems: Sequence[str],
        samples: int,
        seed: int,
        augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
    ) -> None:
        self.stems, self.samples, self.seed = tuple(stems), samples, seed
        self.augmentation = augmentation
        self.lottery = Lottery(tracks)
        # who has what for each place, for random mixing
        slots = range(len(self.stems) + 1)
        owners = [[track for track in tracks if self.files(track, slot)] for slot in slots]
        self.owners = [Lottery(found) if found else None for found in owners]
        files = [file for track in tracks for paths in track.stems.values() for file in paths]
        files += [track.mixture for track in tracks if track.mixture and not track.stems]
        self.folder = os.path.commonpath([file.parent for file in files])
        self.reader = Reader(files)

    def __len__(self) -> int:
        return 1 << 30  # endless: every index is another excerpt

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        for _ in range(ATTEMPTS):
            track = self.lottery.draw(rng)
            parts = self.compose(track, rng) if track.stems else [self.record(track, rng)]
            lines = self.read(parts)
            if lines is not None:
                return self.finish(parts, lines, bool(track.stems), rng)
        raise DataError(f"nothing in {self.folder} could be read, {ATTEMPTS} times in a row")

    def files(self, track: Track, slot: int) -> tuple[Path, ...]:
        """A track's files for a place of the excerpt; the last is for stems not asked for."""
        if slot < len(self.stems):
            return tuple(track.stems.get(self.stems[slot], ()))
        others = sorted(track.stems.keys() - set(self.stems))
        return tuple(file for name in others for file in track.stems[name])

    def compose(self, track: Track, rng: np.random.Generator) -> list[Part]:
        """The stems of a track or, at times, each of another track that has it."""
        settings = self.augmentation
        shuffled = rng.random() < settings.random_mixing
        moved = rng.random() < settings.moved
        passage = self.passage(track, moved, rng)
        parts = []
        for slot, owners in enumerate(self.owners):
            if shuffled and owners:
                track = owners.draw(rng)
                passage = self.passage(track, moved, rng)
            if files := self.files(track, slot):
                parts.append(Part(slot, files, passage))
        # an excerpt of nothing would teach nothing
        last = parts[int(rng.integers(len(parts)))]
        parts = [part for part in parts if rng.random() >= settings.dropped] or [last]
        listening = self.listen(rng)
        return [self.balance(part, listening, rng) for part in parts]

    def record(self, track: Track, rng: np.random.Generator) -> Part:
        """A recording whose parts are unknown."""
        if track.mixture is None:
            raise ValueError(f"{track.name} has neither stems nor a mixture")
        moved = rng.random() < self.augmentation.moved
        passage = self.passage(track, moved, rng)
        return Part(len(self.stems), (track.mixture,), passage, *self.listen(rng))

    def passage(self, track: Track, moved: bool, rng: np.random.Generator) -> Passage:
        """A place in a track where an excerpt fits; its beginning when none does."""
        settings = self.augmentation
        pitch, tempo = 0.0, 1.0
        if moved:
            pitch = float(rng.uniform(-settings.pitch, settings.pitch))
            tempo = 1 + float(rng.uniform(-settings.tempo, settings.tempo))
        samples = needed(self.samples, pitch, tempo)
        room = max(round(track.seconds * SAMPLE_RATE) - samples, 0)
        return Passage(int(rng.integers(room + 1)), samples, pitch, tempo)

    def listen(self, rng: np.random.Generator) -> tuple[float, float]:
        """How much is heard of left and right, of all stems alike: so they add up."""
        if self.augmentation == NONE:
            return LISTENING[-1]
        return LISTENING[rng.integers(len(LISTENING))]

    def balance(self, part: Part, listening: tuple[float, float], rng: np.random.Generator) -> Part:
        """A stem at a random level, polarity and place between left and right."""
        settings = self.augmentation
        factor = 10 ** (rng.uniform(-settings.gain, settings.gain) / 20)
        if rng.random() < settings.polarity:
            factor = -factor
        left, right = listening
        if rng.random() < settings.panned:
            angle = rng.uniform(0, np.pi / 2)  # of constant power; both factors are 1 at its middle
            left, right = 2**0.5 * np.cos(angle) * left, 2**0.5 * np.sin(angle) * right
        return part._replace(left=float(factor * left), right=float(factor * right))

    def read(self, parts: Sequence[Part]) -> Tensor | None:
        """The parts' lines [L, T], moved as they are to be; None if a file cannot be read."""
        lines = []
        # the stems of one song are moved together
        for passage, group in groupby(parts, lambda part: part.passage):
            found = []
            for part in group:
                line = self.read_line(part)
                if line is None:
                    return None
                found.append(line)
            lines.append(move(torch.stack(found), passage.pitch, passage.tempo, self.samples))
        return torch.cat(lines)

    def read_line(self, part: Part) -> Tensor | None:
        """The sum of a part's files, mono."""
        line = torch.zeros(part.passage.samples)
        for file in part.files:
            start = part.passage.start
            audio = self.reader.read(file, start, start + part.passage.samples)
            if audio is None:
                return None
            left, right = stereo(audio)
            line += part.left * left + part.right * right
        return line

    def finish(
        self, parts: Sequence[Part], lines: Tensor, separated: bool, rng: np.random.Generator
    ) -> Excerpt:
        """Lines [L, T] as an excerpt, coloured and at a level as the settings have it."""
        if self.augmentation.coloured > 0:
            names = [(*self.stems, "other")[part.slot] for part in parts]
            lines = recolour(lines, names, self.augmentation.coloured, rng)
        stems = torch.zeros(len(self.stems) + 1, self.samples)
        stems[[part.slot for part in parts]] = lines
        if self.augmentation == NONE:
            return Excerpt(stems.sum(dim=0), stems, torch.tensor(separated))
        return mix(stems, rng)._replace(separated=torch.tensor(separated))


def stereo(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right of [C, T]: mono is both; of many channels they are every second one's mean."""
    if len(audio) <= 2:
        return audio[0], audio[-1]
    return audio[0::2].mean(dim=0), audio[1::2].mean(dim=0)


def recolour(
    lines: Tensor, names: Sequence[str], chance: float, rng: np.random.Generator
) -> Tensor:
    """Lines [L, T] in another room, equalised and driven, each as loud as it was."""
    reverberation = float(rng.uniform(0.15, 1.2))
    coloured = colour(lines, draw_colours(names, rng, reverberation, chance))
    # in double precision, for sums of float32 depend on how many threads share them
    loud, now = (x.double().square().mean(dim=1, keepdim=True).sqrt() for x in (lines, coloured))
    return coloured * torch.where(now > 1e-6, loud / now, 1).float()
