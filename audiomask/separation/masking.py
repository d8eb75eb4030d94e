"""Soft masks in mel-spaced bands, applied to recordings of any sample rate."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from audiomask.audio.bands import Bands, as_complex, as_parts
from audiomask.audio.source import AudioSource
from audiomask.audio.spectra import (
    band_weights,
    frame_spectra,
    frames_per_chunk,
    overlap_add,
    overlap_add_buffer,
    synthesis_window,
)

#: window of the masked spectrum, in hops
_WINDOW_HOPS = 4
#: frequencies in Hz up to which stems are silent, and from which masks apply fully: below a piano's
#: lowest note of 27.5 Hz, with bins of about 11 Hz
_SILENT, _AUDIBLE = 12.0, 20.0


class MaskApplier:
    """Applies masks to the STFT of a recording.

    Its hop is about that of the masks, such as 1024 samples at 44.1 kHz and 1120 at 48 kHz, and
    masks are interpolated linearly between their frames. Bins above the last band have its mask.
    Stems have no DC offset or infrasound (see :func:`audible`).

    Args:
        source: the recording.
        hop: of the masks, in seconds.
        top_hz: center of the last band, in Hz.
    """

    def __init__(self, source: AudioSource, hop: float, top_hz: float) -> None:
        self.source = source
        self.hop = next_smooth_number(round(hop * source.sample_rate))
        self.size = self.hop * _WINDOW_HOPS
        self.frames = -(-source.frames // self.hop)
        self.ratio = self.hop / source.sample_rate / hop
        self._top_hz = top_hz
        self._bands: Bands | None = None

    def stems(self, masks: Iterator[Tensor]) -> Iterator[Tensor]:
        """Stems [S, C, n], in consecutive blocks of the recording's length in total.

        Args:
            masks: [S, M, bands, F], in consecutive blocks of frames. Channel c has mask c modulo M:
                with M = 2, they are the masks of left and right.
        """
        buffer: Tensor | None = None
        first = 0  # first frame of the buffer
        done = 0  # frames of the STFT that have been synthesized
        margin = _WINDOW_HOPS // 2
        ended = False
        while not ended:
            block = next(masks, None)
            ended = block is None
            if block is not None:
                buffer = block if buffer is None else torch.cat([buffer, block], dim=-1)
            if buffer is None:
                return
            known = first + buffer.shape[-1]
            # frame j of the STFT is at (j + 0.5) ratio - 0.5 in the frames of the masks
            stop = self.frames if ended else int((known - 0.5) / self.ratio - 0.5) - margin - 1
            stop = min(stop, self.frames)
            if stop <= done:
                continue
            yield self._synthesize(buffer, first, done, stop)
            done = stop
            keep = int((done - margin - 1) * self.ratio) - 2
            if keep > first:
                buffer = buffer[..., keep - first :]
                first = keep

    @torch.no_grad()
    def _synthesize(self, masks: Tensor, first: int, start: int, stop: int) -> Tensor:
        """Stems [S, C, n] of the STFT's frames [start, stop).

        Args:
            masks: [S, M, bands, F] of the frames, with margins.
            first: number of their first frame.
            start, stop: frames to synthesize.
        """
        hop, size, device = self.hop, self.size, masks.device
        low, high = start - _WINDOW_HOPS // 2, stop + _WINDOW_HOPS // 2
        position = (torch.arange(low, high, device=device) + 0.5) * self.ratio - 0.5
        position = (position - first).clamp(0, masks.shape[-1] - 1)
        lower = position.floor().long()
        upper = (lower + 1).clamp_max(masks.shape[-1] - 1)
        resampled = torch.lerp(masks[..., lower], masks[..., upper], position - lower).mT
        bands = self._bin_weights(masks.shape[-2], device)
        left = (size - hop) // 2
        audio = self.source.read(low * hop - left, (high - 1) * hop - left + size).to(device)
        channels = len(audio)
        total = overlap_add_buffer((len(resampled), channels), high - low, size, hop, device)
        window = synthesis_window(size, hop, device)
        step = frames_per_chunk(device, channels)
        for begin in range(0, high - low, step):
            end = min(begin + step, high - low)
            samples = audio[:, begin * hop : (end - 1) * hop + size]
            parts = as_parts(frame_spectra(samples, size, hop))
            mask, masked = torch.empty_like(parts[0]), torch.empty_like(parts)
            for own, stem in zip(resampled, total, strict=True):
                for number, in_bands in enumerate(own):
                    bands.to_bins(in_bands[begin:end], out=mask)
                    channel = slice(number, None, len(own))
                    torch.mul(parts[channel], mask, out=masked[channel])
                frames = torch.fft.irfft(as_complex(masked), n=size)
                overlap_add(stem[:, begin : end + _WINDOW_HOPS - 1], frames, window)
        skipped = (start - low) * hop + left
        length = min((stop - start) * hop, self.source.frames - start * hop)
        return total.flatten(-2)[..., skipped : skipped + length]

    def _bin_weights(self, number: int, device: torch.device) -> Bands:
        """Weights from a number of bands to bins, cached."""
        if self._bands is None or self._bands.number != number:
            nyquist, bins = self.source.sample_rate / 2, self.size // 2 + 1
            weights = band_weights(bins, nyquist, number, self._top_hz)
            gain = audible(torch.linspace(0, nyquist, bins))
            self._bands = Bands((weights * gain[:, None]).to(device))
        return self._bands


def audible(hz: Tensor) -> Tensor:
    """Gain of all masks at frequencies in Hz: 0 up to 12 Hz, 1 from 20 Hz."""
    return (((hz - _SILENT) / (_AUDIBLE - _SILENT)).clamp(0, 1) * (math.pi / 2)).sin().square()


def next_smooth_number(number: int) -> int:
    """The smallest 7-smooth number of at least ``number``, a length of fast FFTs."""
    candidate = max(number, 1)
    while True:
        rest = candidate
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 1
