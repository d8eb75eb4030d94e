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
from audiomask.data.effects.space import pan_gains, reverb_tail
from audiomask.data.excerpt import Excerpt, rms, sample_rms_db, scale_to_rms
from audiomask.data.mastering import master, sample_master
from audiomask.data.time_stretch import change_pitch_and_tempo, samples_needed

#: share of the changes of pitch that change the tempo with it, which costs far less
_VARISPEED_SHARE = 0.5
#: a row a channel of an excerpt: factors of a recording's left and right
_Matrix = tuple[tuple[float, float], ...]

_MIDDLE: _Matrix = ((0.5, 0.5),)
#: what may become of left and right where a mix becomes mono
DOWNMIXES: tuple[_Matrix, ...] = (((1.0, 0.0),), ((0.0, 1.0),), _MIDDLE)
_STEREO: _Matrix = ((1.0, 0.0), (0.0, 1.0))
_SWAPPED: _Matrix = ((0.0, 1.0), (1.0, 0.0))
#: share of stereo excerpts that are mono in fact
MONO_SHARE = 0.1

_File = TypeVar("_File")
_Kept = TypeVar("_Kept", covariant=True)


class _SongFiles(Protocol[_Kept]):
    """What is mixed: a whole song or a segment of one.

    ``stems`` has the files of each stem, several of which are summed; a song without any is a
    recording whose parts are unknown, and ``mixture`` is its file.
    """

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def stems(self) -> Mapping[str, tuple[_Kept, ...]]:
        """The files of each stem."""

    @property
    def mixture(self) -> _Kept | None:
        """The file of a recording."""

    @property
    def seconds(self) -> float:
        """How long it is."""


class _Passage(NamedTuple):
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


class _StemExcerpt(NamedTuple, Generic[_File]):
    """What one place of an excerpt is made of.

    Attributes:
        slot: the place.
        files: what is read, and summed.
        passage: where.
        matrix: a row a channel of the excerpt: factors of the file's left and right.
    """

    slot: int
    files: tuple[_File, ...]
    passage: _Passage
    matrix: _Matrix = _MIDDLE


class Mixer(Generic[_File]):
    """Makes excerpts of songs, mixture and stems.

    Args:
        stems: the stems to tell apart; a song's others are summed in the last place.
        samples: length of an excerpt.
        augmentation: how excerpts are varied; with ``NONE`` they keep their level as well.
        read: samples [start, stop) of a file at ``sample_rate``, [C, stop - start]; None if it
            cannot be read.
        sample_rate: of the excerpts.
        channels: of the excerpts, 1 or 2.
    """

    def __init__(
        self,
        stems: Sequence[str],
        samples: int,
        augmentation: Augmentation,
        read: Callable[[_File, int, int], Tensor | None],
        sample_rate: int,
        channels: int = 1,
    ) -> None:
        self.stems, self.samples = tuple(stems), samples
        self.augmentation, self.read_file = augmentation, read
        self.sample_rate, self.channels = sample_rate, channels

    def make(
        self,
        song: _SongFiles[_File],
        other_song: Callable[[int, np.random.Generator], _SongFiles[_File] | None],
        rng: np.random.Generator,
    ) -> Excerpt | None:
        """An excerpt of a song; None when something of it cannot be read.

        Args:
            song: whose excerpt it is.
            other_song: gives another song that has a place's stem, for mixing across songs.
            rng: decides everything.
        """
        parts = (
            self._choose_stems(song, other_song, rng)
            if song.stems
            else [self._choose_recording(song, rng)]
        )
        lines = self.read(parts)
        return None if lines is None else self.finish(parts, lines, bool(song.stems), rng)

    def files(self, song: _SongFiles[_File], slot: int) -> tuple[_File, ...]:
        """A song's files for a place of the excerpt; the last is for stems not asked for."""
        if slot < len(self.stems):
            return tuple(song.stems.get(self.stems[slot], ()))
        others = sorted(song.stems.keys() - set(self.stems))
        return tuple(file for name in others for file in song.stems[name])

    def _choose_stems(
        self,
        song: _SongFiles[_File],
        other_song: Callable[[int, np.random.Generator], _SongFiles[_File] | None],
        rng: np.random.Generator,
    ) -> list[_StemExcerpt[_File]]:
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
                parts.append(_StemExcerpt(slot, files, passage))
        # an excerpt of nothing would teach nothing
        last = parts[int(rng.integers(len(parts)))]
        parts = [part for part in parts if rng.random() >= settings.stem_dropout] or [last]
        matrix = self._draw_matrix(rng)
        return [self._balance(part, matrix, rng) for part in parts]

    def _choose_recording(
        self, song: _SongFiles[_File], rng: np.random.Generator
    ) -> _StemExcerpt[_File]:
        """A recording whose parts are unknown."""
        if song.mixture is None:
            raise ValueError(f"{song.name} has neither stems nor a mixture")
        changed = rng.random() < self.augmentation.pitch_tempo_prob
        passage = self.passage(song, changed, rng)
        return _StemExcerpt(len(self.stems), (song.mixture,), passage, self._draw_matrix(rng))

    def passage(self, song: _SongFiles[_File], changed: bool, rng: np.random.Generator) -> _Passage:
        """A place in a song where an excerpt fits; its beginning when none does."""
        settings = self.augmentation
        pitch, tempo = 0.0, 1.0
        if changed:
            pitch = float(rng.uniform(-settings.pitch, settings.pitch))
            tempo = 1 + float(rng.uniform(-settings.tempo, settings.tempo))
            if rng.random() < _VARISPEED_SHARE:
                tempo = 2 ** (pitch / 12)
        samples = samples_needed(self.samples, pitch, tempo)
        room = max(round(song.seconds * self.sample_rate) - samples, 0)
        return _Passage(int(rng.integers(room + 1)), samples, pitch, tempo)

    def _draw_matrix(self, rng: np.random.Generator) -> _Matrix:
        """What becomes of left and right, in all stems alike: so they add up."""
        if self.augmentation == NONE:
            return _STEREO if self.channels == 2 else _MIDDLE
        if self.channels == 1:
            return DOWNMIXES[rng.integers(len(DOWNMIXES))]
        if rng.random() < MONO_SHARE:
            return _MIDDLE * 2
        return _SWAPPED if rng.random() < 0.5 else _STEREO

    def _balance(
        self, part: _StemExcerpt[_File], matrix: _Matrix, rng: np.random.Generator
    ) -> _StemExcerpt[_File]:
        """A stem at a random level, polarity and place between left and right."""
        settings = self.augmentation
        factor = 10 ** (rng.uniform(-settings.gain, settings.gain) / 20)
        if rng.random() < settings.polarity_prob:
            factor = -factor
        pan: tuple[float, ...] = (1.0, 1.0)
        if rng.random() < settings.pan_prob:
            pan = pan_gains(float(rng.uniform(-1, 1)))
        if len(matrix) == 1:  # panned first, and then heard on one channel
            rows: _Matrix = tuple((a * pan[0], b * pan[1]) for a, b in matrix)
        elif matrix == _MIDDLE * 2:
            rows = matrix
        else:
            rows = tuple((a * gain, b * gain) for (a, b), gain in zip(matrix, pan, strict=True))
        scaled = tuple((float(factor * a), float(factor * b)) for a, b in rows)
        return part._replace(matrix=scaled)

    def read(self, parts: Sequence[_StemExcerpt[_File]]) -> Tensor | None:
        """The parts' lines [L, C, T] at their pitch and tempo; None if a file cannot be read."""
        lines = []
        # the stems of one song change together, and so do the channels of a stem
        for passage, group in groupby(parts, lambda part: part.passage):
            found = []
            for part in group:
                line = self._read_line(part)
                if line is None:
                    return None
                found.append(line)
            changed = change_pitch_and_tempo(
                torch.cat(found), passage.pitch, passage.tempo, self.samples
            )
            lines.append(changed.view(len(found), self.channels, -1))
        return torch.cat(lines)

    def _read_line(self, part: _StemExcerpt[_File]) -> Tensor | None:
        """The sum of a part's files, [C, T]."""
        line = torch.zeros(self.channels, part.passage.samples)
        for file in part.files:
            start = part.passage.start
            audio = self.read_file(file, start, start + part.passage.samples)
            if audio is None:
                return None
            left, right = stereo(audio)
            for channel, (a, b) in zip(line, part.matrix, strict=True):
                channel += a * left + b * right
        return line

    def finish(
        self,
        parts: Sequence[_StemExcerpt[_File]],
        lines: Tensor,
        has_stems: bool,
        rng: np.random.Generator,
    ) -> Excerpt:
        """Lines [L, C, T] as an excerpt, with effects and at a level as the settings have it."""
        if self.augmentation.effects_prob > 0:
            names = [(*self.stems, "other")[part.slot] for part in parts]
            chance = self.augmentation.effects_prob
            lines = _vary_timbre(lines, names, chance, rng, self.sample_rate)
        stems = torch.zeros(1, len(self.stems) + 1, self.channels, self.samples)
        stems[0, [part.slot for part in parts]] = lines
        if self.augmentation == NONE:
            return Excerpt(stems[0].sum(dim=0), stems[0], torch.tensor(has_stems))
        if rng.random() < self.augmentation.effects_prob:
            stems = master(stems, torch.tensor([sample_master(rng)]))
        made = scale_to_rms(stems, torch.tensor([sample_rms_db(rng)]))
        return Excerpt(made.mixture[0], made.stems[0], torch.tensor(has_stems))


def stereo(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right of [C, T]: mono is both; of many channels they are every second one's mean."""
    if len(audio) <= 2:
        return audio[0], audio[-1]
    return audio[0::2].mean(dim=0), audio[1::2].mean(dim=0)


def _vary_timbre(
    lines: Tensor,
    names: Sequence[str],
    chance: float,
    rng: np.random.Generator,
    sample_rate: int,
) -> Tensor:
    """Lines [L, C, T] in another room, equalized and driven, each as loud as it was."""
    reverberation = float(rng.uniform(0.15, 1.2))
    effects = sample_effects(names, rng, reverberation, sample_rate, chance)
    if lines.shape[1] == 2:
        # they have their places already; the room has two sides
        other = reverb_tail(reverberation, rng, sample_rate)
        effects = effects._replace(
            gain=torch.ones(len(lines), 2),
            reverb=torch.cat([effects.reverb, torch.from_numpy(other)[None, None]], dim=1),
        )
    treated = apply_effects(lines, effects)
    loud, now = rms(lines)[:, None, None], rms(treated)[:, None, None]
    return treated * torch.where(now > 1e-6, loud / now.clamp_min(1e-12), 1)
