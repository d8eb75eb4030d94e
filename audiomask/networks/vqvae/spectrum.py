"""The default VQ-VAE's input and output: a spectrum of magnitudes and phase advances."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from audiomask.audio.spectra import centered, frame_spectra, frames_per_chunk

#: added to magnitudes before the logarithm, -90 dB
SOFT_FLOOR = 3e-5


@dataclass(frozen=True)
class Spectrum:
    """A spectrogram without absolute phases.

    Attributes:
        log_magnitude: log10 of magnitudes, [B, F, bins].
        advance: a bin's phase advance from the frame before, less that of its centre frequency:
            the unit phasor's expectation, [2, B, F, A] (real and imaginary part). Its angle is the
            instantaneous frequency, its absolute value the tonality: one for a steady partial, near
            zero for noise. The bins above the lowest A count as noise.
    """

    log_magnitude: Tensor
    advance: Tensor

    def magnitude(self) -> Tensor:
        """Magnitudes [B, F, bins]."""
        # exp of an untrained network must not overflow; 1e2 is far above any real bin
        return (exp10(self.log_magnitude.clamp_max(2.0)) - SOFT_FLOOR).clamp_min(0)

    def phase_advance(self, size: int, hop: int) -> Tensor:
        """Each bin's whole phase advance from the frame before, [2, B, F, A]."""
        centre = center_phase_advance(self.advance.shape[-1], size, hop, self.advance.device)
        (real, imaginary), cosine, sine = self.advance, centre.real, centre.imag
        return torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine])


def analyze(audio: Tensor, size: int, hop: int, advance_bins: int) -> Spectrum:
    """The spectrum of audio [B, T], T a multiple of ``hop``; silence is assumed before it."""
    parts = list(analyze_chunks(audio, size, hop, advance_bins))
    return Spectrum(
        torch.cat([part.log_magnitude for part in parts], dim=1),
        torch.cat([part.advance for part in parts], dim=2),
    )


def analyze_chunks(audio: Tensor, size: int, hop: int, advance_bins: int) -> Iterator[Spectrum]:
    """What :func:`analyze` gives, as chunks of frames that fit a processor's caches."""
    number = audio.shape[-1] // hop
    padded = centered(audio, size, hop)
    phase_advance = center_phase_advance(advance_bins, size, hop, audio.device)
    cosine, sine = phase_advance.real.contiguous(), phase_advance.imag.contiguous()
    step = frames_per_chunk(audio.device, len(audio))
    last = audio.new_zeros(2, len(audio), 1, advance_bins)
    for begin in range(0, number, step):
        end = min(begin + step, number)
        spectrum = frame_spectra(padded[:, begin * hop : (end - 1) * hop + size], size, hop)
        # separate real and imaginary parts are many times faster than complex numbers
        parts = torch.view_as_real(spectrum).movedim(-1, 0).contiguous()
        magnitude = complex_abs(parts)
        unit = parts[..., :advance_bins] / (magnitude[..., :advance_bins] + 1e-9)
        (x, y), (u, v) = unit, torch.cat([last, unit[:, :, :-1]], dim=2)
        last = unit[:, :, -1:]
        along, across = x * u + y * v, y * u - x * v
        advance = [along * cosine + across * sine, across * cosine - along * sine]
        yield Spectrum((magnitude + SOFT_FLOOR).log10(), torch.stack(advance))


def complex_abs(parts: Tensor) -> Tensor:
    """Absolute values [...] of complex numbers as real and imaginary parts [2, ...]."""
    real, imaginary = parts
    return torch.addcmul(real.square(), imaginary, imaginary).sqrt()


def exp10(x: Tensor) -> Tensor:
    """10 ** x by ``exp``, five times as fast as a power."""
    return (x * math.log(10)).exp()


@lru_cache(maxsize=8)
def center_phase_advance(bins: int, size: int, hop: int, device: torch.device) -> Tensor:
    """The phasor by which each bin's centre frequency advances in a hop, complex [bins]."""
    # a cached inference tensor could not be used in training later
    with torch.inference_mode(False):
        angle = 2 * math.pi * hop / size * torch.arange(bins, device=device, dtype=torch.float64)
        return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
