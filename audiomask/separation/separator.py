"""Separators of recordings of any length: the interface, and separation by soft masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from audiomask.audio.pcm import quantize
from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.windows import blend_windows, plan_windows
from audiomask.separation.band_power import BandPower
from audiomask.separation.masking import MaskApplier
from audiomask.separation.passes import OVERLAPS
from audiomask.separation.settings import Quality


class Separator(ABC):
    """Separates recordings into stems."""

    #: names of the stems
    names: tuple[str, ...]

    @abstractmethod
    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n], in consecutive blocks, of the recording's sample rate and length.

        Args:
            source: the recording, of any sample rate and number of channels.
            stems: indices into ``names``.
        """

    def blocks(
        self, source: AudioSource, stems: Sequence[int], residual: bool, subtype: str
    ) -> Iterator[list[Tensor]]:
        """Stems, and the residual if requested, [C, n] each, in consecutive blocks.

        Stems are rounded to a subtype and sum with the residual to the recording. Samples beyond
        full scale are returned as they are, for the writer to clip and count; the residual is that
        of clipped stems.

        Args:
            source: the recording.
            stems: indices into ``names``.
            residual: whether to return the residual.
            subtype: of the files, such as PCM_16.
        """
        done = 0
        for block in self.stems(source, stems):
            unrounded = block.cpu()
            rounded = quantize(unrounded, subtype)
            parts = list(_unclipped(unrounded, rounded).unbind())
            length = block.shape[-1]
            if residual:
                parts.append(source.read(done, done + length) - rounded.sum(dim=0))
            done += length
            yield parts


class SoftMaskSeparator(Separator):
    """Applies soft masks, computed window by window, to the recording's spectrum.

    Args:
        sample_rate: at which masks are computed, in Hz.
        bands, stft_size, hop_length: of the masks.
        window: frames of a window.
        device: to compute on.
    """

    #: overlap of windows, as a share of a window
    overlap = OVERLAPS[Quality.normal]

    def __init__(
        self,
        sample_rate: int,
        bands: int,
        stft_size: int,
        hop_length: int,
        window: int,
        device: torch.device,
    ) -> None:
        self.sample_rate, self.hop_length, self.window = sample_rate, hop_length, window
        self.device = device
        self.power = BandPower(sample_rate, bands, stft_size, hop_length, device)

    @abstractmethod
    def open(self, audio: AudioSource) -> Callable[[int, int], Tensor]:
        """A function that computes the masks of a window.

        Args:
            audio: the recording, at ``sample_rate``.

        Returns:
            A function from frames start and stop to the masks of stems and residual,
            [S + 1, C, bands, stop - start]; C is 1 for the same masks on all channels, 2 for masks
            of left and right.
        """

    def windows(self, audio: AudioSource) -> tuple[list[tuple[int, int]], int]:
        """Windows [start, stop) over all frames of a recording, and their overlap in frames."""
        overlap = round(self.window * self.overlap)
        return plan_windows(-(-audio.frames // self.hop_length), self.window, overlap), overlap

    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n], in consecutive blocks."""
        audio = ResampledSource(source, self.sample_rate)
        windows, overlap = self.windows(audio)
        masks_of = self.open(audio)
        masks = blend_windows(windows, overlap, lambda *span: masks_of(*span)[list(stems)])
        hop_seconds = self.hop_length / self.sample_rate
        yield from MaskApplier(source, hop_seconds, self.sample_rate / 2).stems(masks)


def _unclipped(samples: Tensor, rounded: Tensor) -> Tensor:
    """Rounded samples, except for those beyond full scale, which stay as they are."""
    if samples is rounded:  # the subtype does not clip
        return rounded
    return torch.where(samples.abs() > 1, samples, rounded)
