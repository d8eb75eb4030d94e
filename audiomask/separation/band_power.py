"""Power of recordings in mel-spaced bands, in the frames that masks have."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.spectra import band_weights, centered, frame_spectra, frames_per_chunk


class BandPower:
    """Sums a window's spectrum over bands.

    Args:
        sample_rate: of the audio, in Hz.
        bands: how many, mel-spaced up to half the sample rate.
        stft_size: window of the spectrum, in samples.
        hop_length: samples between frames.
        device: where the audio will be.
    """

    def __init__(
        self, sample_rate: int, bands: int, stft_size: int, hop_length: int, device: torch.device
    ) -> None:
        self.stft_size, self.hop_length = stft_size, hop_length
        nyquist = sample_rate / 2
        weights = band_weights(stft_size // 2 + 1, nyquist, bands, nyquist)
        self.sums = Bands(weights.to(device))

    def __call__(self, audio: Tensor) -> Tensor:
        """The mean power of the channels of a window [C, T] in every band, [bands, F].

        Folding them to mono would cancel what is out of phase.
        """
        found = [self.sums.to_bands(parts.square_().mean(dim=0)) for parts in self._spectra(audio)]
        return torch.cat(found).T.contiguous()

    def sides(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """What stereo masks are found by, of a window [C, T].

        Of more than two channels every other one counts as left, the first among them.

        Returns:
            The power of left and right in every band [2, bands, F], and Σ Re(L R*) [bands, F]. A
            single channel is the one side there is, [1, bands, F], and its power again.
        """
        if len(audio) == 1:
            power = self(audio)
            return power[None], power
        left, right, both = [], [], []
        pairs = len(audio) // 2
        for parts in self._spectra(audio):
            sides = parts[0::2], parts[1::2]
            product = (sides[0][:pairs] * sides[1]).mean(dim=0)
            left.append(self.sums.to_bands(sides[0].square().mean(dim=0)))
            right.append(self.sums.to_bands(sides[1].square().mean(dim=0)))
            both.append(self.sums.to_bands(product))
        power = torch.stack([torch.cat(left), torch.cat(right)]).mT
        return power, torch.cat(both).T

    def _spectra(self, audio: Tensor) -> Iterator[Tensor]:
        """Consecutive frames of a window [C, T], real and imaginary parts [C, f, 2 * bins]."""
        channels, length = audio.shape
        pad = self.stft_size - self.hop_length
        padded = centered(audio, self.stft_size, self.hop_length)
        step = frames_per_chunk(audio.device, channels) * self.hop_length
        for begin in range(0, length, step):
            part = padded[:, begin : min(begin + step, length) + pad]
            yield as_parts(frame_spectra(part, self.stft_size, self.hop_length))
