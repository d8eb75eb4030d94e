"""Features of the spectrogram model: compressed magnitudes of bands, and MFCC of them."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.spectra import band_weights, centered, frame_spectra
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.runtime.dependencies import torchaudio_functional

#: coefficients of MFCC
COEFFICIENTS = 13
#: magnitude under which a band counts as silent in MFCC; least power of the magnitude 1
_LEAST, _SILENCE = 0.03, 1e-12


class BandSpectrum:
    """The power of audio in mel-spaced bands.

    Args:
        config: of the model.
    """

    def __init__(self, config: SpectrogramConfig) -> None:
        self.config = config
        nyquist = config.sample_rate / 2
        bins = config.stft_size // 2 + 1
        self._weights = band_weights(bins, nyquist, config.bands, nyquist)
        self._bands: dict[torch.device, Bands] = {}

    def __call__(self, audio: Tensor) -> Tensor:
        """Power [F, bands] of mono audio [T], T a multiple of the hop."""
        if audio.device not in self._bands:
            self._bands[audio.device] = Bands(self._weights.to(audio.device))
        size, hop = self.config.stft_size, self.config.hop_length
        parts = as_parts(frame_spectra(centered(audio, size, hop), size, hop))
        return self._bands[audio.device].to_bands(parts.square_())


def reference(power: Tensor, visible: Tensor | None = None) -> Tensor:
    """The greatest power of a window, which is the magnitude 1, [..., 1, 1].

    Args:
        power: [..., F, bands].
        visible: bool [..., F], frames that are known; all when None.
    """
    known = power if visible is None else power * visible[..., None]
    return known.amax(dim=(-1, -2), keepdim=True).clamp_min(_SILENCE)


def compress(power: Tensor, level: Tensor, exponent: float) -> Tensor:
    """Magnitudes in [0, 1] of powers, raised to an exponent.

    Args:
        power: [..., F, bands].
        level: power of the magnitude 1, from ``reference``.
        exponent: of magnitudes.
    """
    return (power / level).clamp(0, 1) ** (exponent / 2)


def expand(magnitudes: Tensor, level: Tensor, exponent: float) -> Tensor:
    """The inverse of ``compress``: powers of magnitudes."""
    return magnitudes.clamp(0, 1) ** (2 / exponent) * level


def mfcc(features: Tensor) -> Tensor:
    """Mel-frequency cepstral coefficients with first and second differences.

    The 39 features that HuBERT's first clusters are of (Hsu et al. 2021, section IV-B), up to a
    factor: the logarithm is of compressed magnitudes.

    Args:
        features: magnitudes in [0, 1], [..., F, bands].

    Returns:
        [..., F, 39], without unit.
    """
    functional = torchaudio_functional()
    logs = features.clamp_min(_LEAST).log10()
    bands = features.shape[-1]
    matrix = functional.create_dct(min(COEFFICIENTS, bands), bands, "ortho")
    # differences are over the last axis
    coefficients = (logs @ matrix.to(features.device)).transpose(-1, -2)
    first = functional.compute_deltas(coefficients)
    second = functional.compute_deltas(first)
    return torch.cat([coefficients, first, second], dim=-2).transpose(-1, -2)
