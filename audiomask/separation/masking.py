"""Shares: soft masks in mel-spaced bands, applied to a recording at its own rate."""

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

#: the masked spectrum's window, in hops; both neighbours of a frame reach half of it
_WINDOW_HOPS = 4
#: Hz under which nothing is any stem's, and from which on everything may be: under the lowest note
#: of a piano (27.5 Hz), and a bin of about 11 Hz apart, so that 30 Hz stays untouched
_SILENT, _AUDIBLE = 12.0, 20.0


class MaskApplier:
    """A recording's stems, from the share that each has of every band.

    The recording's own STFT is masked, so that phase, stereo image and bandwidth stay its own.
    Its grid is about the shares' own: 1024 samples at 44.1 kHz, 1120 at 48 kHz; in between,
    shares are interpolated linearly. Bins above the last band follow it. What is too low for any
    instrument, a constant offset above all, is in no stem (see :func:`audible`).

    Args:
        source: the recording.
        hop: seconds from one frame of shares to the next.
        top_hz: centre of the last band.
    """

    def __init__(self, source: AudioSource, hop: float, top_hz: float) -> None:
        self.source = source
        self.hop = smooth(round(hop * source.sample_rate))
        self.size = self.hop * _WINDOW_HOPS
        self.frames = -(-source.frames // self.hop)
        self.ratio = self.hop / source.sample_rate / hop
        self._top_hz = top_hz
        self._bands: Bands | None = None

    def stems(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        """Stems [S, C, n], consecutive blocks of the recording's length in all.

        Args:
            pieces: shares [S, sides, bands, F], consecutive frames from the first to the last. A
                channel has those of the side that its number leaves: of two, left and right.
        """
        held: Tensor | None = None
        first = 0  # the frame of shares that `held` begins with
        done = 0  # frames of ours that are out
        reach = _WINDOW_HOPS // 2
        ended = False
        while not ended:
            piece = next(pieces, None)
            ended = piece is None
            if piece is not None:
                held = piece if held is None else torch.cat([held, piece], dim=-1)
            if held is None:
                return
            known = first + held.shape[-1]
            # our frame j lies at (j + 0.5) ratio - 0.5 among the frames of shares
            upto = self.frames if ended else int((known - 0.5) / self.ratio - 0.5) - reach - 1
            upto = min(upto, self.frames)
            if upto <= done:
                continue
            yield self._synthesize(held, first, done, upto)
            done = upto
            keep = int((done - reach - 1) * self.ratio) - 2
            if keep > first:
                held = held[..., keep - first :]
                first = keep

    @torch.no_grad()
    def _synthesize(self, shares: Tensor, first: int, start: int, stop: int) -> Tensor:
        """Stems [S, C, n] of our frames [start, stop), cut to the recording's end."""
        hop, size, device = self.hop, self.size, shares.device
        low, high = start - _WINDOW_HOPS // 2, stop + _WINDOW_HOPS // 2
        place = (torch.arange(low, high, device=device) + 0.5) * self.ratio - 0.5
        place = (place - first).clamp(0, shares.shape[-1] - 1)
        lower = place.floor().long()
        upper = (lower + 1).clamp_max(shares.shape[-1] - 1)
        here = torch.lerp(shares[..., lower], shares[..., upper], place - lower).mT
        bands = self._spread_over(shares.shape[-2], device)
        # the windows of the outermost frames reach further still
        left = (size - hop) // 2
        audio = self.source.read(low * hop - left, (high - 1) * hop - left + size).to(device)
        channels = len(audio)
        total = overlap_add_buffer((len(here), channels), high - low, size, hop, device)
        window = synthesis_window(size, hop, device)
        step = frames_per_chunk(device, channels)
        for begin in range(0, high - low, step):
            end = min(begin + step, high - low)
            heard = audio[:, begin * hop : (end - 1) * hop + size]
            parts = as_parts(frame_spectra(heard, size, hop))
            mask, masked = torch.empty_like(parts[0]), torch.empty_like(parts)
            for share, stem in zip(here, total, strict=True):
                for side, own in enumerate(share):
                    bands.to_bins(own[begin:end], out=mask)
                    torch.mul(parts[side :: len(share)], mask, out=masked[side :: len(share)])
                frames = torch.fft.irfft(as_complex(masked), n=size)
                overlap_add(stem[:, begin : end + _WINDOW_HOPS - 1], frames, window)
        skipped = (start - low) * hop + left
        length = min((stop - start) * hop, self.source.frames - start * hop)
        return total.flatten(-2)[..., skipped : skipped + length]

    def _spread_over(self, number: int, device: torch.device) -> Bands:
        """How so many bands are spread over our bins; worked out once."""
        if self._bands is None or self._bands.number != number:
            nyquist, bins = self.source.sample_rate / 2, self.size // 2 + 1
            weights = band_weights(bins, nyquist, number, self._top_hz)
            gain = audible(torch.linspace(0, nyquist, bins))
            self._bands = Bands((weights * gain[:, None]).to(device))
        return self._bands


def audible(hz: Tensor) -> Tensor:
    """How much of a frequency may belong to stems: nothing of a constant, all from 20 Hz on."""
    return (((hz - _SILENT) / (_AUDIBLE - _SILENT)).clamp(0, 1) * (math.pi / 2)).sin().square()


def smooth(number: int) -> int:
    """The least integer from ``number`` up without a prime factor over 7: a fast FFT's length."""
    candidate = max(number, 1)
    while True:
        rest = candidate
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 1
