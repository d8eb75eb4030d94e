"""Separation of recordings of any length: what makes the stems, and how they become samples."""

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
    """Makes stems of recordings."""

    #: names of the stems that it can make
    names: tuple[str, ...]

    @abstractmethod
    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Consecutive blocks [S, C, n] of stems, at the recording's own rate and of its length.

        Args:
            source: any rate, any number of channels.
            stems: numbers of the stems, in ``names``.
        """

    def blocks(
        self, source: AudioSource, stems: Sequence[int], residual: bool, subtype: str
    ) -> Iterator[list[Tensor]]:
        """Consecutive blocks of the stems asked for, [C, n] each, then the residual if wanted.

        Stems are rounded to what ``subtype`` stores, and the residual is the mixture minus the
        rounded stems: together they give the mixture back. What of a stem is beyond full scale is
        left so, for whoever writes it to clip it and say so; the residual counts on that.
        """
        done = 0
        for block in self.stems(source, stems):
            found = block.cpu()
            rounded = quantize(found, subtype)
            parts = list(_unclipped(found, rounded).unbind())
            length = block.shape[-1]
            if residual:
                parts.append(source.read(done, done + length) - rounded.sum(dim=0))
            done += length
            yield parts


class ShareSeparator(Separator):
    """Shares the recording's own spectrum out among the stems, window by window.

    Args:
        sample_rate: at which shares are found, in Hz.
        bands, stft_size, hop_length: of the shares.
        window: frames that are looked at together.
        device: where it is computed.
    """

    #: share of a window that fades into the next
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
        """What finds the shares of a recording at ``sample_rate``.

        It takes a window's frames [start, stop) and gives each stem's share of them, then the
        rest's: [S + 1, sides, bands, stop - start]. All channels may have the same, on one side;
        or left and right have their own.
        """

    def windows(self, audio: AudioSource) -> tuple[list[tuple[int, int]], int]:
        """Windows over all frames of a recording, and by how many each fades into the next."""
        overlap = round(self.window * self.overlap)
        return plan_windows(-(-audio.frames // self.hop_length), self.window, overlap), overlap

    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n] that share out the recording's own spectrum."""
        audio = ResampledSource(source, self.sample_rate)
        windows, overlap = self.windows(audio)

        find = self.open(audio)
        pieces = blend_windows(windows, overlap, lambda *span: find(*span)[list(stems)])
        hop_seconds = self.hop_length / self.sample_rate
        yield from MaskApplier(source, hop_seconds, self.sample_rate / 2).stems(pieces)


def _unclipped(found: Tensor, rounded: Tensor) -> Tensor:
    """Rounded samples, but those beyond full scale as they were found."""
    if found is rounded:  # by a subtype that clips nothing
        return rounded
    return torch.where(found.abs() > 1, found, rounded)
