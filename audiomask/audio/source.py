"""Audio sources: random access to audio of known rate and length.

All readers take only the samples they need, so that an hour needs no more memory than a minute.
"""

from __future__ import annotations

import math
from typing import Protocol

import soxr
import torch
from torch import Tensor


class AudioSource(Protocol):
    """A file, samples in memory, a resampled source, or anything else that can be read."""

    @property
    def sample_rate(self) -> int:
        """Samples a second."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def frames(self) -> int:
        """Samples per channel."""

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside the source."""


class MemorySource:
    """Samples in memory.

    Args:
        audio: float Tensor [C, T].
        sample_rate: samples a second.
    """

    def __init__(self, audio: Tensor, sample_rate: int) -> None:
        if audio.dim() != 2:
            raise ValueError(f"audio must be [channels, samples], not {tuple(audio.shape)}")
        self.audio = audio.float()
        self.sample_rate = sample_rate
        self.channels, self.frames = audio.shape

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop); zeros outside."""
        inside = self.audio[:, max(start, 0) : max(min(stop, self.frames), 0)]
        if inside.shape[1] == stop - start:
            return inside
        out = self.audio.new_zeros(self.channels, stop - start)
        left = max(-start, 0)
        out[:, left : left + inside.shape[1]] = inside
        return out


class ResampledSource:
    """A source at another rate; any excerpt equals the same part of the whole resampled.

    The resampler (soxr, high quality) runs on excerpts that start where both rates have a sample
    at the same time, with a margin longer than its filter on both sides.
    """

    #: seconds read beyond both ends; soxr's HQ filter is far shorter
    _MARGIN = 0.1

    def __init__(self, source: AudioSource, sample_rate: int) -> None:
        self.source = source
        self.sample_rate = sample_rate
        self.channels = source.channels
        self.frames = resampled_length(source.frames, source.sample_rate, sample_rate)
        divisor = math.gcd(source.sample_rate, sample_rate)
        self._unit_in = source.sample_rate // divisor
        self._unit_out = sample_rate // divisor

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) at the new rate; zeros outside."""
        if self.source.sample_rate == self.sample_rate:
            return self.source.read(start, stop)
        margin = math.ceil(self._MARGIN * self.sample_rate / self._unit_out)
        first = math.floor(start / self._unit_out) - margin
        last = math.ceil(stop / self._unit_out) + margin
        audio = self.source.read(first * self._unit_in, last * self._unit_in)
        resampled = resample(audio, self.source.sample_rate, self.sample_rate)
        offset = start - first * self._unit_out
        out = resampled[:, offset : offset + stop - start]
        if start < 0:
            out[:, : min(-start, stop - start)] = 0
        if stop > self.frames:
            out[:, max(self.frames - start, 0) :] = 0
        return out


def resampled_length(frames: int, old_rate: int, new_rate: int) -> int:
    """Samples after resampling, rounded up."""
    return -(-frames * new_rate // old_rate)


def resample(audio: Tensor, old_rate: int, new_rate: int) -> Tensor:
    """Resample [C, T] to [C, about T * new / old] with soxr's high-quality filter."""
    if old_rate == new_rate:
        return audio
    resampled = soxr.resample(audio.T.contiguous().numpy(), old_rate, new_rate)
    return torch.from_numpy(resampled).float().reshape(-1, audio.shape[0]).T.contiguous()
