"""Context: a gap and the sound around it, at the model's rate and in its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource, ResampledSource
from audiomask.infill.gaps import Gap
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig


@dataclass(frozen=True)
class GapContext:
    """A gap and the audio around it, at the model's rate and in its frames.

    Attributes:
        samples: audio [C, F * hop], gaps in it filled with mirror images.
        offset: first sample, in the recording at the model's rate.
        first, last: frames [first, last) affected by the gap, counted from ``offset``.
        unknown: frames affected by any gap, bool [F].
        scale: the model's rate over the recording's.
    """

    samples: Tensor
    offset: int
    first: int
    last: int
    unknown: Tensor
    scale: float

    @classmethod
    def around(
        cls,
        source: AudioSource,
        gap: Gap,
        gaps: Sequence[Gap],
        config: VQVAEConfig | PaperConfig,
        window: int,
    ) -> GapContext:
        """The context of one of a recording's gaps.

        Args:
            source: the recording.
            gap: the gap.
            gaps: all gaps of the recording.
            config: the VQ-VAE's configuration.
            window: of the MLM, in frames.
        """
        audio, hop = ResampledSource(source, config.sample_rate), config.hop_length
        scale = config.sample_rate / source.sample_rate
        frames = -(-audio.frames // hop)

        def touched(one: Gap) -> tuple[int, int]:
            # with the frames whose analysis window reaches into the gap
            first = int(one.start * scale) // hop - config.margin
            last = -(-math.ceil(one.stop * scale) // hop) + config.margin
            return max(first, 0), min(last, frames)

        first, last = touched(gap)
        reach = max(window // 2, 2 * config.context)
        low, high = max(first - reach, 0), min(last + reach, frames)
        unknown = torch.zeros(high - low, dtype=torch.bool)
        samples = audio.read(low * hop, high * hop).nan_to_num()
        for one in gaps:
            begin, end = touched(one)
            if end <= low or begin >= high:
                continue
            unknown[max(begin - low, 0) : max(end - low, 0)] = True
            fill_with_mirror(
                samples, round(one.start * scale) - low * hop, round(one.stop * scale) - low * hop
            )
        return cls(samples, low * hop, first - low, last - low, unknown, scale)

    def weight(self, gap: Gap, fades: tuple[int, int]) -> Tensor:
        """Weight of the known audio, [F * hop]: 0 in the gap, 1 beyond its crossfades.

        Args:
            gap: the gap.
            fades: samples of the crossfades before and after it.
        """
        total = self.samples.shape[1]
        edges = (gap.start - fades[0], gap.start, gap.stop, gap.stop + fades[1])
        start, begin, end, stop = (
            min(max(round(edge * self.scale) - self.offset, 0), total) for edge in edges
        )
        weight = torch.ones(total)
        weight[start:stop] = envelope(stop - start, begin - start, stop - end)
        return weight

    def near(self, frames: int) -> slice:
        """The gap's frames and ``frames`` on each side."""
        return slice(max(self.first - frames, 0), min(self.last + frames, len(self.unknown)))


class OffsetSource:
    """Audio [C, n] placed at an offset in a recording; silence around it."""

    def __init__(self, sound: Tensor, sample_rate: int, offset: int) -> None:
        self.sound, self.sample_rate, self.offset = sound, sample_rate, offset
        self.channels, self.frames = sound.shape[0], offset + sound.shape[1]

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) of the recording as float32 [C, stop - start]."""
        return MemorySource(self.sound, self.sample_rate).read(
            start - self.offset, stop - self.offset
        )


def envelope(length: int, left: int, right: int) -> Tensor:
    """Weights [length] that fall from 1 to 0 in ``left`` samples and rise again in ``right``."""
    weight = torch.zeros(length)
    weight[:left] = ramp(left).flip(0)
    weight[length - right :] = ramp(right)
    return weight


def fill_with_mirror(audio: Tensor, start: int, stop: int) -> None:
    """Fill samples [start, stop) of audio [C, T], in place, with cross-faded mirror images.

    The encoder's receptive field reaches into the gap from known frames, whose tokens silence would
    change.
    """
    start, stop = max(start, 0), min(stop, audio.shape[1])
    length = stop - start
    if length <= 0:
        return
    before = audio[:, max(start - length, 0) : start].flip(1)
    after = audio[:, stop : stop + length].flip(1)
    fade = ramp(length)
    audio[:, start:stop] = 0
    audio[:, start : start + before.shape[1]] += before * (1 - fade[: before.shape[1]])
    audio[:, stop - after.shape[1] : stop] += after * fade[length - after.shape[1] :]


def ramp(length: int) -> Tensor:
    """Weights [length] that rise from just above 0 to just under 1."""
    return torch.arange(1, length + 1) / (length + 1)
