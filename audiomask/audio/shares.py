"""Shares: soft masks in mel-spaced bands, applied to a recording at its own rate."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.audio.spectra import band_weights, from_bands, istft, stft

#: the masked spectrum's window, in hops; both neighbours of a frame reach half of it
WINDOW_HOPS = 4


class SharedOut:
    """A recording's stems, from the share that each has of every band.

    The recording's own STFT is masked, so that phase, stereo image and bandwidth stay its own.
    Its grid is about the shares' own: 1024 samples at 44.1 kHz, 1120 at 48 kHz; in between,
    shares are interpolated linearly. Bins above the last band follow it.

    Args:
        source: the recording.
        hop: seconds from one frame of shares to the next.
        top_hz: centre of the last band.
    """

    def __init__(self, source: AudioSource, hop: float, top_hz: float) -> None:
        self.source = source
        self.hop = smooth(round(hop * source.sample_rate))
        self.size = self.hop * WINDOW_HOPS
        self.frames = -(-source.frames // self.hop)
        self.ratio = self.hop / source.sample_rate / hop
        self.top_hz = top_hz

    def stems(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        """Stems [S, C, n], consecutive blocks of the recording's length in all.

        Args:
            pieces: shares [S, bands, F], consecutive frames from the first to the last.
        """
        held: Tensor | None = None
        first = 0  # the frame of shares that `held` begins with
        done = 0  # frames of ours that are out
        reach = WINDOW_HOPS // 2
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
            yield self._synthesise(held, first, done, upto)
            done = upto
            keep = int((done - reach - 1) * self.ratio) - 2
            if keep > first:
                held = held[..., keep - first :]
                first = keep

    def _synthesise(self, shares: Tensor, first: int, start: int, stop: int) -> Tensor:
        """Stems [S, C, n] of our frames [start, stop), cut to the recording's end."""
        reach = WINDOW_HOPS // 2
        low, high = start - 2 * reach, stop + 2 * reach
        audio = self.source.read(low * self.hop, high * self.hop).to(shares.device)
        spectrum = stft(audio, self.size, self.hop)
        place = (torch.arange(low, high, device=shares.device) + 0.5) * self.ratio - 0.5
        place = (place - first).clamp(0, shares.shape[-1] - 1)
        lower = place.floor().long()
        upper = (lower + 1).clamp_max(shares.shape[-1] - 1)
        here = torch.lerp(shares[..., lower], shares[..., upper], place - lower)
        bins = self.size // 2 + 1
        weights = band_weights(bins, self.source.sample_rate / 2, shares.shape[-2], self.top_hz).to(
            shares.device
        )
        # one stem at a time: all of their spectra together would be the largest thing in memory
        cut = slice((start - low) * self.hop, (stop - low) * self.hop)
        stems = torch.stack(
            [
                istft(spectrum * from_bands(share, weights), self.size, self.hop)[..., cut]
                for share in here
            ]
        )
        return stems[..., : self.source.frames - start * self.hop]


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
