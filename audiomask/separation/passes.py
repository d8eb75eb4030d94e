"""Test-time augmentation: passes over shifted and transposed versions of a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.separation.settings import Quality


@dataclass(frozen=True)
class Pass:
    """One version of a recording.

    Attributes:
        shift: of its frames to earlier ones, in hops.
        pitch: factor by which it is made lower and slower.
    """

    shift: float = 0.0
    pitch: float = 1.0


#: frequency at which the mel scale changes from linear to logarithmic
_MEL_HZ = 700.0
#: factors of pitch for about a semitone, with which sample rates stay whole numbers
SEMITONE_LOWER, SEMITONE_HIGHER = 1.06, 0.94
PASSES = {
    Quality.fast: (Pass(),),
    Quality.normal: (Pass(),),
    Quality.best: (
        Pass(),
        Pass(shift=0.5),
        Pass(pitch=SEMITONE_LOWER),
        Pass(shift=0.5, pitch=SEMITONE_HIGHER),
    ),
}
#: overlap of windows, as a share of a window
OVERLAPS = {Quality.fast: 1 / 24, Quality.normal: 1 / 10, Quality.best: 1 / 4}


class PassReader:
    """Reads windows of a recording for one pass, and aligns the masks with the recording.

    Args:
        audio: at the network's sample rate.
        version: the pass.
        hop_length: samples between frames.
        bands: number of the network's bands, mel-spaced up to the Nyquist frequency.
    """

    def __init__(self, audio: AudioSource, version: Pass, hop_length: int, bands: int) -> None:
        rate = audio.sample_rate
        self.sample_rate = round(rate * version.pitch)
        self.pitch = self.sample_rate / rate
        self.audio = ResampledSource(audio, self.sample_rate)
        self.shift, self.hop_length = version.shift, hop_length
        mel = torch.linspace(0, 1, bands, dtype=torch.float64) * math.log1p(rate / 2 / _MEL_HZ)
        lowered = (mel.expm1() / self.pitch).log1p()
        self.bands = lowered / mel[-1] * (bands - 1)

    def read(self, start: int, stop: int) -> Tensor:
        """The samples [C, F' * hop_length] of the recording's frames [start, stop)."""
        first = self._first(start)
        frames = round((stop - start) * self.pitch)
        return self.audio.read(first, first + frames * self.hop_length)

    def align_bands(self, values: Tensor) -> Tensor:
        """Values [..., bands, F'] interpolated to the recording's bands."""
        if self.pitch == 1:
            return values
        return interpolate(values.mT, self.bands.to(values.device)).mT

    def align_frames(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Values [..., F'] interpolated to the recording's frames [..., stop - start]."""
        if self.pitch == 1 and self.shift == 0:
            return values
        frames = torch.arange(start, stop, device=values.device, dtype=torch.float64) + 0.5
        first = self._first(start) / self.hop_length
        return interpolate(values, frames * self.pitch - first - 0.5)

    def _first(self, start: int) -> int:
        """The first sample of frame ``start``, at the pass's sample rate."""
        return round((start * self.pitch - self.shift) * self.hop_length)


def interpolate(values: Tensor, positions: Tensor) -> Tensor:
    """Values [..., N] interpolated linearly at positions [M], constant beyond the ends."""
    inside = positions.clamp(0, values.shape[-1] - 1)
    lower = inside.floor().long()
    upper = (lower + 1).clamp_max(values.shape[-1] - 1)
    return torch.lerp(values[..., lower], values[..., upper], (inside - lower).to(values.dtype))
