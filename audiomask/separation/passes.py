"""Passes: looking at a recording several times, a little differently, and taking the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.separation.settings import Quality


@dataclass(frozen=True)
class Pass:
    """One way of looking.

    Attributes:
        shift: by how many hops the frames lie earlier.
        pitch: by which factor the recording is made lower and slower.
    """

    shift: float = 0.0
    pitch: float = 1.0


#: the mel scale is logarithmic far above this frequency, linear far below it
_MEL_HZ = 700.0
#: about a semitone either way; the sample rates that they make are whole numbers
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
#: share of a window that fades into the next
OVERLAPS = {Quality.fast: 1 / 24, Quality.normal: 1 / 6, Quality.best: 1 / 4}


class PassReader:
    """Reads windows of a recording as a pass sees them, and brings what is found back.

    Args:
        audio: at the network's rate.
        one: the pass.
        hop_length: samples between frames.
        bands: of the network, mel-spaced up to half its rate.
    """

    def __init__(self, audio: AudioSource, one: Pass, hop_length: int, bands: int) -> None:
        rate = audio.sample_rate
        self.sample_rate = round(rate * one.pitch)
        self.pitch = self.sample_rate / rate
        self.audio = ResampledSource(audio, self.sample_rate)
        self.shift, self.hop_length = one.shift, hop_length
        mel = torch.linspace(0, 1, bands, dtype=torch.float64) * math.log1p(rate / 2 / _MEL_HZ)
        lowered = (mel.expm1() / self.pitch).log1p()
        self.bands = lowered / mel[-1] * (bands - 1)

    def read(self, start: int, stop: int) -> Tensor:
        """The samples [C, F' * hop_length] of a window of frames [start, stop)."""
        first = self._first(start)
        frames = round((stop - start) * self.pitch)
        return self.audio.read(first, first + frames * self.hop_length)

    def align_bands(self, values: Tensor) -> Tensor:
        """Values [..., bands, F'] at the recording's own frequencies."""
        if self.pitch == 1:
            return values
        return interpolate(values.mT, self.bands.to(values.device)).mT

    def align_frames(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Values [..., F'] of a window's frames as the recording's own [..., stop - start]."""
        if self.pitch == 1 and self.shift == 0:
            return values
        own = torch.arange(start, stop, device=values.device, dtype=torch.float64) + 0.5
        first = self._first(start) / self.hop_length
        return interpolate(values, own * self.pitch - first - 0.5)

    def _first(self, start: int) -> int:
        """The first sample of a window, at the pass's rate."""
        return round((start * self.pitch - self.shift) * self.hop_length)


def interpolate(values: Tensor, places: Tensor) -> Tensor:
    """Values [..., N] between their neighbours at places [M], the outermost beyond the ends."""
    inside = places.clamp(0, values.shape[-1] - 1)
    lower = inside.floor().long()
    upper = (lower + 1).clamp_max(values.shape[-1] - 1)
    return torch.lerp(values[..., lower], values[..., upper], (inside - lower).to(values.dtype))
