"""What the default VQ-VAE codes of sound: magnitudes, and how phases advance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from audiomask.audio.spectra import at_once, centered, frame_spectra

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
        return (ten_to_the(self.log_magnitude.clamp_max(2.0)) - SOFT_FLOOR).clamp_min(0)

    def phase_advance(self, size: int, hop: int) -> Tensor:
        """By how much each bin's phase turns from the frame before, [2, B, F, bins]."""
        centre = center_phase_advance(
            self.log_magnitude.shape[-1], size, hop, self.log_magnitude.device
        )
        (real, imaginary), cosine, sine = self.advance, centre.real, centre.imag
        return torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine])

    def cut(self, start: int, stop: int) -> Spectrum:
        """Its frames [start, stop)."""
        return Spectrum(self.log_magnitude[:, start:stop], self.advance[:, :, start:stop])


def analyze(audio: Tensor, size: int, hop: int) -> Spectrum:
    """The spectrum of audio [B, T], T a multiple of ``hop``; silence is assumed before it."""
    parts = list(analyze_in_parts(audio, size, hop))
    return Spectrum(
        torch.cat([part.log_magnitude for part in parts], dim=1),
        torch.cat([part.advance for part in parts], dim=2),
    )


def analyze_in_parts(audio: Tensor, size: int, hop: int) -> Iterator[Spectrum]:
    """What :func:`analyse` gives, as consecutive frames that fit a processor's caches."""
    number = audio.shape[-1] // hop
    heard = centered(audio, size, hop)
    phase_advance = center_phase_advance(size // 2 + 1, size, hop, audio.device)
    cosine, sine = phase_advance.real.contiguous(), phase_advance.imag.contiguous()
    step = at_once(audio.device, len(audio))
    last = audio.new_zeros(2, len(audio), 1, size // 2 + 1)
    for begin in range(0, number, step):
        end = min(begin + step, number)
        spectrum = frame_spectra(heard[:, begin * hop : (end - 1) * hop + size], size, hop)
        # apart, real and imaginary parts are many times as fast to work with as complex numbers
        parts = torch.view_as_real(spectrum).movedim(-1, 0).contiguous()
        magnitude = length(parts)
        unit = parts / (magnitude + 1e-9)
        (x, y), (u, v) = unit, torch.cat([last, unit[:, :, :-1]], dim=2)
        last = unit[:, :, -1:]
        along, across = x * u + y * v, y * u - x * v
        advance = [along * cosine + across * sine, across * cosine - along * sine]
        yield Spectrum((magnitude + SOFT_FLOOR).log10(), torch.stack(advance))


def length(parts: Tensor) -> Tensor:
    """Lengths [...] of complex numbers in parts [2, ...]."""
    real, imaginary = parts
    return torch.addcmul(real.square(), imaginary, imaginary).sqrt()


def ten_to_the(x: Tensor) -> Tensor:
    """10 ** x, which takes five times as long as a power."""
    return (x * math.log(10)).exp()


@lru_cache(maxsize=8)
def center_phase_advance(bins: int, size: int, hop: int, device: torch.device) -> Tensor:
    """The phasor by which each bin's centre frequency turns in a hop, complex [bins]."""
    # a cached tensor must not be one that training refuses, though inference asked for it first
    with torch.inference_mode(False):
        angle = 2 * math.pi * hop / size * torch.arange(bins, device=device, dtype=torch.float64)
        return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
