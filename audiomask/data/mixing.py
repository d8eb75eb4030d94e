"""Mixing: an excerpt of what songs have, put together and varied as the settings say.

Where songs lie and which one is next is not known here: files on disk and members of tar shards
are mixed alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.effects import colour, draw_colours
from audiomask.data.excerpt import Excerpt, mix
from audiomask.data.reading import SAMPLE_RATE
from audiomask.data.time_stretch import move, needed

#: share of the moves that are a tape's, of pitch and tempo at once, which cost far less
TAPED = 0.5
#: what is heard of left and right: one of them, or both
LISTENING = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))

File = TypeVar("File")
Kept = TypeVar("Kept", covariant=True)


class Song(Protocol[Kept]):
    """What is mixed: a whole song or a segment of one.

    ``stems`` has the files of each stem, several of which are summed; a song without any is a
    recording whose parts are unknown, and ``mixture`` is its file.
    """

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def stems(self) -> Mapping[str, tuple[Kept, ...]]:
        """The files of each stem."""

    @property
    def mixture(self) -> Kept | None:
        """The file of a recording."""

    @property
    def seconds(self) -> float:
        """How long it is."""


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


class Part(NamedTuple, Generic[File]):
    """What one place of an excerpt is made of.

    Attributes:
        slot: the place.
        files: what is read, and summed.
        passage: where.
        left: factor of the left channel.
        right: factor of the right channel.
    """

    slot: int
    files: tuple[File, ...]
    passage: Passage
    left: float = 0.5
    right: float = 0.5


class Mixer(Generic[File]):
    """Makes excerpts of songs, mixture and stems, 44.1 kHz mono.

    Args:
        stems: the stems to tell apart; a song's others are summed in the last place.
        samples: length of an excerpt.
        augmentation: how excerpts are varied; with ``NONE`` they keep their level as well.
        read: samples [start, stop) of a file at 44.1 kHz, [C, stop - start]; None if it cannot
            be read.
    """

    def __init__(
        self,
        stems: Sequence[str],
        samples: int,
        augmentation: Augmentation,
        read: Callable[[File, int, int], Tensor | None],
    ) -> None:
        self.stems, self.samples = tuple(stems), samples
        self.augmentation, self.source = augmentation, read

    def make(
        self,
        song: Song[File],
        partner: Callable[[int, np.random.Generator], Song[File] | None],
        rng: np.random.Generator,
    ) -> Excerpt | None:
        """An excerpt of a song; None when something of it cannot be read.

        Args:
            song: whose excerpt it is.
            partner: gives another song that has a place's stem, for mixing across songs.
            rng: decides everything.
        """
        parts = self.compose(song, partner, rng) if song.stems else [self.record(song, rng)]
        lines = self.read(parts)
        return None if lines is None else self.finish(parts, lines, bool(song.stems), rng)

    def files(self, song: Song[File], slot: int) -> tuple[File, ...]:
        """A song's files for a place of the excerpt; the last is for stems not asked for."""
        if slot < len(self.stems):
            return tuple(song.stems.get(self.stems[slot], ()))
        others = sorted(song.stems.keys() - set(self.stems))
        return tuple(file for name in others for file in song.stems[name])

    def compose(
        self,
        song: Song[File],
        partner: Callable[[int, np.random.Generator], Song[File] | None],
        rng: np.random.Generator,
    ) -> list[Part[File]]:
        """The stems of a song or, at times, each of another song that has it."""
        settings = self.augmentation
        shuffled = rng.random() < settings.random_mixing
        moved = rng.random() < settings.moved
        passage = self.passage(song, moved, rng)
        parts = []
        for slot in range(len(self.stems) + 1):
            if shuffled and (other := partner(slot, rng)) is not None:
                song = other
                passage = self.passage(song, moved, rng)
            if files := self.files(song, slot):
                parts.append(Part(slot, files, passage))
        # an excerpt of nothing would teach nothing
        last = parts[int(rng.integers(len(parts)))]
        parts = [part for part in parts if rng.random() >= settings.dropped] or [last]
        listening = self.listen(rng)
        return [self.balance(part, listening, rng) for part in parts]

    def record(self, song: Song[File], rng: np.random.Generator) -> Part[File]:
        """A recording whose parts are unknown."""
        if song.mixture is None:
            raise ValueError(f"{song.name} has neither stems nor a mixture")
        moved = rng.random() < self.augmentation.moved
        passage = self.passage(song, moved, rng)
        return Part(len(self.stems), (song.mixture,), passage, *self.listen(rng))

    def passage(self, song: Song[File], moved: bool, rng: np.random.Generator) -> Passage:
        """A place in a song where an excerpt fits; its beginning when none does."""
        settings = self.augmentation
        pitch, tempo = 0.0, 1.0
        if moved:
            pitch = float(rng.uniform(-settings.pitch, settings.pitch))
            tempo = 1 + float(rng.uniform(-settings.tempo, settings.tempo))
            if rng.random() < TAPED:
                tempo = 2 ** (pitch / 12)
        samples = needed(self.samples, pitch, tempo)
        room = max(round(song.seconds * SAMPLE_RATE) - samples, 0)
        return Passage(int(rng.integers(room + 1)), samples, pitch, tempo)

    def listen(self, rng: np.random.Generator) -> tuple[float, float]:
        """How much is heard of left and right, of all stems alike: so they add up."""
        if self.augmentation == NONE:
            return LISTENING[-1]
        return LISTENING[rng.integers(len(LISTENING))]

    def balance(
        self, part: Part[File], listening: tuple[float, float], rng: np.random.Generator
    ) -> Part[File]:
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

    def read(self, parts: Sequence[Part[File]]) -> Tensor | None:
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

    def read_line(self, part: Part[File]) -> Tensor | None:
        """The sum of a part's files, mono."""
        line = torch.zeros(part.passage.samples)
        for file in part.files:
            start = part.passage.start
            audio = self.source(file, start, start + part.passage.samples)
            if audio is None:
                return None
            left, right = stereo(audio)
            line += part.left * left + part.right * right
        return line

    def finish(
        self, parts: Sequence[Part[File]], lines: Tensor, separated: bool, rng: np.random.Generator
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
