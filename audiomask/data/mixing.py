"""Mixing: excerpts of songs' stems, with augmentation.

Songs are files on disk or members of tar shards; the data set reads and chooses them.
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
from audiomask.data.excerpt import Elsewhere, Excerpt, rms, sample_rms_db, scale_to_rms
from audiomask.data.mastering import master, sample_master
from audiomask.data.passages import Passage, sample_passage
from audiomask.data.time_stretch import change_pitch_and_tempo

#: mixing matrix: for every channel of an excerpt, factors of a recording's left and right
_Matrix = tuple[tuple[float, float], ...]

_MONO: _Matrix = ((0.5, 0.5),)
#: mixing matrices for mono: left, right or both
DOWNMIXES: tuple[_Matrix, ...] = (((1.0, 0.0),), ((0.0, 1.0),), _MONO)
_STEREO: _Matrix = ((1.0, 0.0), (0.0, 1.0))
_SWAPPED: _Matrix = ((0.0, 1.0), (1.0, 0.0))
#: probability that both channels of a stereo excerpt are the same
MONO_PROB = 0.1

_File = TypeVar("_File")
_Kept = TypeVar("_Kept", covariant=True)


class _SongFiles(Protocol[_Kept]):
    """A song or a segment of one: stems, or a recording without stems."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def stems(self) -> Mapping[str, tuple[_Kept, ...]]:
        """The files of each stem, several of which are summed."""

    @property
    def mixture(self) -> _Kept | None:
        """The file of a recording without stems."""

    @property
    def seconds(self) -> float:
        """Its duration."""


class _StemExcerpt(NamedTuple, Generic[_File]):
    """A stem of an excerpt, before it is read.

    Attributes:
        slot: its place in the excerpt.
        files: to be read and summed.
        passage: of the files.
        matrix: how they are mixed to the excerpt's channels.
    """

    slot: int
    files: tuple[_File, ...]
    passage: Passage
    matrix: _Matrix = _MONO


class Mixer(Generic[_File]):
    """Makes excerpts of songs.

    Args:
        stems: the named stems; a song's others are summed in the last place.
        samples: length of an excerpt.
        augmentation: of the excerpts; with ``NONE`` they also keep their level.
        read: returns samples [start, stop) of a file at ``sample_rate``, [C, stop - start], or None
            for an unreadable file.
        sample_rate: of the excerpts, in Hz.
        channels: of the excerpts, 1 or 2.
        elsewhere: a second passage at their end; None for none.
    """

    def __init__(
        self,
        stems: Sequence[str],
        samples: int,
        augmentation: Augmentation,
        read: Callable[[_File, int, int], Tensor | None],
        sample_rate: int,
        channels: int = 1,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.stems, self.samples, self.elsewhere = tuple(stems), samples, elsewhere
        # lengths of an excerpt's passages
        self.lengths = [samples] if elsewhere is None else [samples - elsewhere[0], elsewhere[0]]
        self.augmentation, self.read_file = augmentation, read
        self.sample_rate, self.channels = sample_rate, channels

    def make(
        self,
        song: _SongFiles[_File],
        other_song: Callable[[int, np.random.Generator], _SongFiles[_File] | None],
        rng: np.random.Generator,
    ) -> Excerpt | None:
        """An excerpt of a song; None if a file cannot be read.

        Args:
            song: the song.
            other_song: returns another song with files for a place, for random mixing; None if
                there is none.
            rng: random numbers.
        """
        parts = (
            self._choose_stems(song, other_song, rng)
            if song.stems
            else [self._choose_recording(song, rng)]
        )
        lines = self.read(parts)
        return None if lines is None else self.finish(parts, lines, bool(song.stems), rng)

    def files(self, song: _SongFiles[_File], slot: int) -> tuple[_File, ...]:
        """A song's files for a place of the excerpt."""
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
        """The stems of an excerpt, from one song or, with random mixing, from several."""
        settings = self.augmentation
        shuffled = rng.random() < settings.random_mixing
        stretched = rng.random() < settings.pitch_tempo_prob
        passage = self.passage(song, stretched, rng)
        parts = []
        for slot in range(len(self.stems) + 1):
            if shuffled and (other := other_song(slot, rng)) is not None:
                song = other
                passage = self.passage(song, stretched, rng)
            if files := self.files(song, slot):
                parts.append(_StemExcerpt(slot, files, passage))
        kept = parts[int(rng.integers(len(parts)))]
        parts = [part for part in parts if rng.random() >= settings.stem_dropout] or [kept]
        matrix = self._sample_matrix(rng)
        return [self._balance(part, matrix, rng) for part in parts]

    def _choose_recording(
        self, song: _SongFiles[_File], rng: np.random.Generator
    ) -> _StemExcerpt[_File]:
        """An excerpt of a recording without stems."""
        if song.mixture is None:
            raise ValueError(f"{song.name} has neither stems nor a mixture")
        stretched = rng.random() < self.augmentation.pitch_tempo_prob
        passage = self.passage(song, stretched, rng)
        return _StemExcerpt(len(self.stems), (song.mixture,), passage, self._sample_matrix(rng))

    def passage(
        self, song: _SongFiles[_File], stretched: bool, rng: np.random.Generator
    ) -> Passage:
        """A random passage of a song; ``stretched``: whether pitch and tempo change."""
        total = round(song.seconds * self.sample_rate)
        return sample_passage(
            total, self.lengths[0], self.elsewhere, self.augmentation, stretched, rng
        )

    def _sample_matrix(self, rng: np.random.Generator) -> _Matrix:
        """A random mixing matrix, the same for all stems so that they sum to the mixture."""
        if self.augmentation == NONE:
            return _STEREO if self.channels == 2 else _MONO
        if self.channels == 1:
            return DOWNMIXES[rng.integers(len(DOWNMIXES))]
        if rng.random() < MONO_PROB:
            return _MONO * 2
        return _SWAPPED if rng.random() < 0.5 else _STEREO

    def _balance(
        self, part: _StemExcerpt[_File], matrix: _Matrix, rng: np.random.Generator
    ) -> _StemExcerpt[_File]:
        """A stem with random gain, polarity and pan."""
        settings = self.augmentation
        factor = 10 ** (rng.uniform(-settings.gain, settings.gain) / 20)
        if rng.random() < settings.polarity_prob:
            factor = -factor
        pan: tuple[float, ...] = (1.0, 1.0)
        if rng.random() < settings.pan_prob:
            pan = pan_gains(float(rng.uniform(-1, 1)))
        if len(matrix) == 1:  # panned before it is mixed to mono
            rows: _Matrix = tuple((a * pan[0], b * pan[1]) for a, b in matrix)
        elif matrix == _MONO * 2:
            rows = matrix
        else:
            rows = tuple((a * gain, b * gain) for (a, b), gain in zip(matrix, pan, strict=True))
        scaled = tuple((float(factor * a), float(factor * b)) for a, b in rows)
        return part._replace(matrix=scaled)

    def read(self, parts: Sequence[_StemExcerpt[_File]]) -> Tensor | None:
        """The parts' lines [L, C, T] at their pitch and tempo; None if a file cannot be read."""
        lines = []
        # all channels of all stems of a passage are stretched together
        for passage, group in groupby(parts, lambda part: part.passage):
            members = list(group)
            made = torch.zeros(len(members), self.channels, self.samples)
            begin = 0
            for place, length in zip(passage.parts(self.elsewhere), self.lengths, strict=False):
                found = [self._read_line(part._replace(passage=place)) for part in members]
                known = [line for line in found if line is not None]
                if len(known) < len(found):
                    return None
                stretched = change_pitch_and_tempo(
                    torch.cat(known), place.pitch, place.tempo, length
                )
                made[..., begin : begin + length] = stretched.view(len(known), self.channels, -1)
                begin += length
            lines.append(made)
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
        """The excerpt of lines [L, C, T], with effects, mastering and a random level."""
        if self.augmentation.effects_prob > 0:
            names = [(*self.stems, "other")[part.slot] for part in parts]
            prob = self.augmentation.effects_prob
            lines = _vary_timbre(lines, names, prob, rng, self.sample_rate, self.lengths)
        stems = torch.zeros(1, len(self.stems) + 1, self.channels, self.samples)
        stems[0, [part.slot for part in parts]] = lines
        if self.augmentation == NONE:
            return Excerpt(stems[0].sum(dim=0), stems[0], torch.tensor(has_stems))
        if rng.random() < self.augmentation.effects_prob:
            stems = master(stems, torch.tensor([sample_master(rng)]))
        made = scale_to_rms(stems, torch.tensor([sample_rms_db(rng)]))
        return Excerpt(made.mixture[0], made.stems[0], torch.tensor(has_stems))


def stereo(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right of audio [C, T], [T] each.

    Both are the channel of a mono recording. Of more than two channels, left is the mean of
    channels 0, 2, …, and right that of 1, 3, ….
    """
    if len(audio) <= 2:
        return audio[0], audio[-1]
    return audio[0::2].mean(dim=0), audio[1::2].mean(dim=0)


def _vary_timbre(
    lines: Tensor,
    names: Sequence[str],
    prob: float,
    rng: np.random.Generator,
    sample_rate: int,
    lengths: Sequence[int],
) -> Tensor:
    """Lines [L, C, T] with random effects, each at its former level.

    Args:
        lines: of one excerpt.
        names: the stem of each.
        prob: probability that a line gets effects.
        rng: random numbers.
        sample_rate: in Hz.
        lengths: of the passages in T; none of them rings on into the next.
    """
    reverb_time = float(rng.uniform(0.15, 1.2))
    effects = sample_effects(names, rng, reverb_time, sample_rate, prob)
    if lines.shape[1] == 2:
        # lines are panned already; the reverb has a tail for each channel
        other = reverb_tail(reverb_time, rng, sample_rate)
        effects = effects._replace(
            gain=torch.ones(len(lines), 2),
            reverb=torch.cat([effects.reverb, torch.from_numpy(other)[None, None]], dim=1),
        )
    passages = torch.split(lines, list(lengths), dim=-1)
    varied = torch.cat([apply_effects(passage, effects) for passage in passages], dim=-1)
    before, after = rms(lines)[:, None, None], rms(varied)[:, None, None]
    return varied * torch.where(after > 1e-6, before / after.clamp_min(1e-12), 1)
