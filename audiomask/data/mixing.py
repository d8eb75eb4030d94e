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
from audiomask.data.effects import apply_effects, sample_effects
from audiomask.data.excerpt import Excerpt, mix
from audiomask.data.time_stretch import change_pitch_and_tempo, samples_needed

#: share of the changes of pitch that change the tempo with it, which costs far less
VARISPEED_SHARE = 0.5
#: factors of left and right when a mix becomes mono: one of them, or both
DOWNMIXES = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))

File = TypeVar("File")
Kept = TypeVar("Kept", covariant=True)


class SongFiles(Protocol[Kept]):
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
    """Where in a song an excerpt is taken, and how its pitch and tempo change.

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


class StemExcerpt(NamedTuple, Generic[File]):
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
    """Makes excerpts of songs, mixture and stems, mono.

    Args:
        stems: the stems to tell apart; a song's others are summed in the last place.
        samples: length of an excerpt.
        augmentation: how excerpts are varied; with ``NONE`` they keep their level as well.
        read: samples [start, stop) of a file at ``sample_rate``, [C, stop - start]; None if it
            cannot be read.
        sample_rate: of the excerpts.
    """

    def __init__(
        self,
        stems: Sequence[str],
        samples: int,
        augmentation: Augmentation,
        read: Callable[[File, int, int], Tensor | None],
        sample_rate: int,
    ) -> None:
        self.stems, self.samples = tuple(stems), samples
        self.augmentation, self.read_file = augmentation, read
        self.sample_rate = sample_rate

    def make(
        self,
        song: SongFiles[File],
        other_song: Callable[[int, np.random.Generator], SongFiles[File] | None],
        rng: np.random.Generator,
    ) -> Excerpt | None:
        """An excerpt of a song; None when something of it cannot be read.

        Args:
            song: whose excerpt it is.
            other_song: gives another song that has a place's stem, for mixing across songs.
            rng: decides everything.
        """
        parts = (
            self.choose_stems(song, other_song, rng)
            if song.stems
            else [self.choose_recording(song, rng)]
        )
        lines = self.read(parts)
        return None if lines is None else self.finish(parts, lines, bool(song.stems), rng)

    def files(self, song: SongFiles[File], slot: int) -> tuple[File, ...]:
        """A song's files for a place of the excerpt; the last is for stems not asked for."""
        if slot < len(self.stems):
            return tuple(song.stems.get(self.stems[slot], ()))
        others = sorted(song.stems.keys() - set(self.stems))
        return tuple(file for name in others for file in song.stems[name])

    def choose_stems(
        self,
        song: SongFiles[File],
        other_song: Callable[[int, np.random.Generator], SongFiles[File] | None],
        rng: np.random.Generator,
    ) -> list[StemExcerpt[File]]:
        """The stems of a song or, at times, each of another song that has it."""
        settings = self.augmentation
        shuffled = rng.random() < settings.random_mixing
        changed = rng.random() < settings.pitch_tempo_prob
        passage = self.passage(song, changed, rng)
        parts = []
        for slot in range(len(self.stems) + 1):
            if shuffled and (other := other_song(slot, rng)) is not None:
                song = other
                passage = self.passage(song, changed, rng)
            if files := self.files(song, slot):
                parts.append(StemExcerpt(slot, files, passage))
        # an excerpt of nothing would teach nothing
        last = parts[int(rng.integers(len(parts)))]
        parts = [part for part in parts if rng.random() >= settings.stem_dropout] or [last]
        downmix = self.draw_downmix(rng)
        return [self.balance(part, downmix, rng) for part in parts]

    def choose_recording(
        self, song: SongFiles[File], rng: np.random.Generator
    ) -> StemExcerpt[File]:
        """A recording whose parts are unknown."""
        if song.mixture is None:
            raise ValueError(f"{song.name} has neither stems nor a mixture")
        changed = rng.random() < self.augmentation.pitch_tempo_prob
        passage = self.passage(song, changed, rng)
        return StemExcerpt(len(self.stems), (song.mixture,), passage, *self.draw_downmix(rng))

    def passage(self, song: SongFiles[File], changed: bool, rng: np.random.Generator) -> Passage:
        """A place in a song where an excerpt fits; its beginning when none does."""
        settings = self.augmentation
        pitch, tempo = 0.0, 1.0
        if changed:
            pitch = float(rng.uniform(-settings.pitch, settings.pitch))
            tempo = 1 + float(rng.uniform(-settings.tempo, settings.tempo))
            if rng.random() < VARISPEED_SHARE:
                tempo = 2 ** (pitch / 12)
        samples = samples_needed(self.samples, pitch, tempo)
        room = max(round(song.seconds * self.sample_rate) - samples, 0)
        return Passage(int(rng.integers(room + 1)), samples, pitch, tempo)

    def draw_downmix(self, rng: np.random.Generator) -> tuple[float, float]:
        """How much is heard of left and right, of all stems alike: so they add up."""
        if self.augmentation == NONE:
            return DOWNMIXES[-1]
        return DOWNMIXES[rng.integers(len(DOWNMIXES))]

    def balance(
        self, part: StemExcerpt[File], downmix: tuple[float, float], rng: np.random.Generator
    ) -> StemExcerpt[File]:
        """A stem at a random level, polarity and place between left and right."""
        settings = self.augmentation
        factor = 10 ** (rng.uniform(-settings.gain, settings.gain) / 20)
        if rng.random() < settings.polarity_prob:
            factor = -factor
        left, right = downmix
        if rng.random() < settings.pan_prob:
            angle = rng.uniform(0, np.pi / 2)  # of constant power; both factors are 1 at its middle
            left, right = 2**0.5 * np.cos(angle) * left, 2**0.5 * np.sin(angle) * right
        return part._replace(left=float(factor * left), right=float(factor * right))

    def read(self, parts: Sequence[StemExcerpt[File]]) -> Tensor | None:
        """The parts' lines [L, T] at their pitch and tempo; None if a file cannot be read."""
        lines = []
        # the stems of one song change together
        for passage, group in groupby(parts, lambda part: part.passage):
            found = []
            for part in group:
                line = self.read_line(part)
                if line is None:
                    return None
                found.append(line)
            lines.append(
                change_pitch_and_tempo(
                    torch.stack(found), passage.pitch, passage.tempo, self.samples
                )
            )
        return torch.cat(lines)

    def read_line(self, part: StemExcerpt[File]) -> Tensor | None:
        """The sum of a part's files, mono."""
        line = torch.zeros(part.passage.samples)
        for file in part.files:
            start = part.passage.start
            audio = self.read_file(file, start, start + part.passage.samples)
            if audio is None:
                return None
            left, right = stereo(audio)
            line += part.left * left + part.right * right
        return line

    def finish(
        self,
        parts: Sequence[StemExcerpt[File]],
        lines: Tensor,
        has_stems: bool,
        rng: np.random.Generator,
    ) -> Excerpt:
        """Lines [L, T] as an excerpt, with effects and at a level as the settings have it."""
        if self.augmentation.effects_prob > 0:
            names = [(*self.stems, "other")[part.slot] for part in parts]
            chance = self.augmentation.effects_prob
            lines = vary_timbre(lines, names, chance, rng, self.sample_rate)
        stems = torch.zeros(len(self.stems) + 1, self.samples)
        stems[[part.slot for part in parts]] = lines
        if self.augmentation == NONE:
            return Excerpt(stems.sum(dim=0), stems, torch.tensor(has_stems))
        return mix(stems, rng)._replace(has_stems=torch.tensor(has_stems))


def stereo(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right of [C, T]: mono is both; of many channels they are every second one's mean."""
    if len(audio) <= 2:
        return audio[0], audio[-1]
    return audio[0::2].mean(dim=0), audio[1::2].mean(dim=0)


def vary_timbre(
    lines: Tensor,
    names: Sequence[str],
    chance: float,
    rng: np.random.Generator,
    sample_rate: int,
) -> Tensor:
    """Lines [L, T] in another room, equalised and driven, each as loud as it was."""
    reverberation = float(rng.uniform(0.15, 1.2))
    treated = apply_effects(lines, sample_effects(names, rng, reverberation, sample_rate, chance))
    # in double precision, for sums of float32 depend on how many threads share them
    loud, now = (x.double().square().mean(dim=1, keepdim=True).sqrt() for x in (lines, treated))
    return treated * torch.where(now > 1e-6, loud / now, 1).float()
