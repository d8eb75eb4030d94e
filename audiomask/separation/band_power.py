"""Power of recordings in mel-spaced bands, in the frames of the masks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.spectra import band_weights, centered, frame_spectra, frames_per_chunk


class BandPower:
    """Sums of power spectra over bands.

    Args:
        sample_rate: of the audio, in Hz.
        bands: number of bands, mel-spaced up to the Nyquist frequency.
        stft_size: window of the spectrum, in samples.
        hop_length: samples between frames.
        device: of the audio.
    """

    def __init__(
        self, sample_rate: int, bands: int, stft_size: int, hop_length: int, device: torch.device
    ) -> None:
        self.stft_size, self.hop_length = stft_size, hop_length
        nyquist = sample_rate / 2
        weights = band_weights(stft_size // 2 + 1, nyquist, bands, nyquist)
        self.sums = Bands(weights.to(device))

    def __call__(self, audio: Tensor) -> Tensor:
        """The mean power of the channels of audio [C, T] in every band, [bands, F].

        Unlike the power of their mean, it keeps sound of opposite phase.
        """
        power = [self.sums.to_bands(parts.square_().mean(dim=0)) for parts in self._spectra(audio)]
        return torch.cat(power).T.contiguous()

    def stereo(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The input of the mask U-Net for audio [C, T].

        Of more than two channels, left is the mean power of 0, 2, …, and right that of 1, 3, ….

        Returns:
            The power of left and right in every band, [2, bands, F], and Σ Re(L R*), [bands, F].
            Mono audio has its power twice, [1, bands, F] and [bands, F].
        """
        if len(audio) == 1:
            power = self(audio)
            return power[None], power
        left, right, cross = [], [], []
        pairs = len(audio) // 2
        for parts in self._spectra(audio):
            one, other = parts[0::2], parts[1::2]
            product = (one[:pairs] * other).mean(dim=0)
            left.append(self.sums.to_bands(one.square().mean(dim=0)))
            right.append(self.sums.to_bands(other.square().mean(dim=0)))
            cross.append(self.sums.to_bands(product))
        power = torch.stack([torch.cat(left), torch.cat(right)]).mT
        return power, torch.cat(cross).T

    def _spectra(self, audio: Tensor) -> Iterator[Tensor]:
        """Spectra of audio [C, T], in chunks: real and imaginary parts [C, F, 2 * bins]."""
        channels, length = audio.shape
        pad = self.stft_size - self.hop_length
        padded = centered(audio, self.stft_size, self.hop_length)
        step = frames_per_chunk(audio.device, channels) * self.hop_length
        for begin in range(0, length, step):
            part = padded[:, begin : min(begin + step, length) + pad]
            yield as_parts(frame_spectra(part, self.stft_size, self.hop_length))
