"""What the default VQ-VAE codes of sound: magnitudes, and how phases advance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.audio.spectra import stft

#: added to magnitudes before the logarithm, -90 dB
SOFT_FLOOR = 3e-5


@dataclass(frozen=True)
class Spectrum:
    """A spectrogram without absolute phases.

    Attributes:
        log_magnitude: log10 of magnitudes, [B, F, bins].
        advance: by how much a bin's phase advances from the frame before, less what its centre
            frequency would: the unit phasor's expectation, [2, B, F, bins] (real and imaginary
            part). Its angle is the instantaneous frequency, its length how tonal the bin
            is: one for a steady partial, near zero for noise.
    """

    log_magnitude: Tensor
    advance: Tensor

    def magnitude(self) -> Tensor:
        """Magnitudes [B, F, bins]."""
        # exp of an untrained network must not overflow; 1e2 is far above any real bin
        return (10 ** self.log_magnitude.clamp_max(2.0) - SOFT_FLOOR).clamp_min(0)

    def turn(self, size: int, hop: int) -> Tensor:
        """By how much each bin's phase turns from the frame before, [2, B, F, bins]."""
        centre = centre_turn(self.log_magnitude.shape[-1], size, hop, self.log_magnitude.device)
        (real, imaginary), cosine, sine = self.advance, centre.real, centre.imag
        return torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine])

    def cut(self, start: int, stop: int) -> Spectrum:
        """Its frames [start, stop)."""
        return Spectrum(self.log_magnitude[:, start:stop], self.advance[:, :, start:stop])


def analyse(audio: Tensor, size: int, hop: int) -> Spectrum:
    """The spectrum of audio [B, T], T a multiple of ``hop``; silence is assumed before it."""
    spectrum = stft(audio, size, hop).mT
    magnitude = spectrum.abs()
    unit = spectrum / (magnitude + 1e-9)
    before = torch.cat([torch.zeros_like(unit[:, :1]), unit[:, :-1]], dim=1)
    turn = centre_turn(spectrum.shape[-1], size, hop, audio.device)
    advance = torch.view_as_real(unit * before.conj() * turn.conj())
    return Spectrum((magnitude + SOFT_FLOOR).log10(), advance.movedim(-1, 0))


def centre_turn(bins: int, size: int, hop: int, device: torch.device) -> Tensor:
    """The phasor by which each bin's centre frequency turns in a hop, complex [bins]."""
    angle = 2 * math.pi * hop / size * torch.arange(bins, device=device, dtype=torch.float64)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
