"""Power of recordings in mel-spaced bands, in the frames that masks have."""

from __future__ import annotations

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
        channels, length = audio.shape
        pad = self.stft_size - self.hop_length
        padded = centered(audio, self.stft_size, self.hop_length)
        found, step = [], frames_per_chunk(audio.device, channels) * self.hop_length
        for begin in range(0, length, step):
            part = padded[:, begin : min(begin + step, length) + pad]
            spectra = as_parts(frame_spectra(part, self.stft_size, self.hop_length))
            found.append(self.sums.to_bands(spectra.square_().mean(dim=0)))
        return torch.cat(found).T.contiguous()
