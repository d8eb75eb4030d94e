"""Pictures of recordings, computed block by block: peaks of the waveform, log-frequency spectra."""

from __future__ import annotations

import math
from base64 import b64encode
from io import BytesIO

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from audiomask.audio.loudness import loudness_weights
from audiomask.audio.spectra import frame_spectra

#: pixels of a picture: a wide window's, and two a band of a third of a semitone … two semitones
_COLUMNS = 1200
_BANDS = 104
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 18000.0
#: 4096 samples at 44.1 kHz
_WINDOW_SECONDS = 0.09
#: decibels from the lightest to the darkest color, and the colors between them
_RANGE_DB = 72.0
_SHADES = 64
_FLOOR = 1e-16
#: frames to transform at once
_CHUNK = 64


class Peaks:
    """The lowest and highest sample of each column of a waveform.

    Args:
        frames: samples per channel of the recording, at least 1.
    """

    def __init__(self, frames: int) -> None:
        self._frames, self._done = frames, 0
        columns = min(_COLUMNS, frames)
        self._low, self._high = torch.zeros(columns), torch.zeros(columns)

    def add(self, audio: Tensor) -> None:
        """Add samples [C, n] that follow those added before."""
        columns = len(self._low)
        place = torch.arange(self._done, self._done + audio.shape[1]) * columns // self._frames
        place = place.clamp_max(columns - 1)
        self._low.scatter_reduce_(0, place, audio.amin(dim=0), "amin")
        self._high.scatter_reduce_(0, place, audio.amax(dim=0), "amax")
        self._done += audio.shape[1]

    def packed(self) -> str:
        """All lowest samples, then all highest, as signed bytes (127 is full scale) in base64."""
        both = torch.cat([self._low, self._high]).mul(127).round().clamp(-127, 127)
        return b64encode(both.to(torch.int8).numpy().tobytes()).decode()


class Spectrogram:
    """The power in log-spaced bands of each column of a recording.

    Memory does not grow with the recording: columns become longer instead, and hold the mean power
    of the frames within them.

    Args:
        frames: samples per channel of the recording, at least 1.
        sample_rate: samples a second.
        channels: number of channels, whose powers are averaged.
    """

    def __init__(self, frames: int, sample_rate: int, channels: int) -> None:
        self._frames = frames
        self._size = 2 ** max(round(math.log2(_WINDOW_SECONDS * sample_rate)), 6)
        columns = min(_COLUMNS, frames)
        length = frames / columns
        self._hop = max(int(length / math.ceil(length / self._size)), 1)
        self._weights = _log_bands(self._size, sample_rate)
        self._hearing = loudness_weights(self._size, sample_rate)
        self._heard, self._transformed = 0.0, 0
        self._power = torch.zeros(columns, _BANDS)
        self._count = torch.zeros(columns)
        # windows are centered on their frames
        self._waiting = torch.zeros(channels, self._size // 2)
        self._frame = 0

    def add(self, audio: Tensor) -> None:
        """Add samples [C, n] that follow those added before."""
        self._waiting = torch.cat([self._waiting, audio], dim=1)
        ready = (self._waiting.shape[1] - self._size) // self._hop + 1
        while ready > 0:
            count = min(ready, _CHUNK)
            part = self._waiting[:, : (count - 1) * self._hop + self._size]
            spectra = frame_spectra(part, self._size, self._hop)
            whole = spectra.abs().square().mean(dim=0)
            self._heard += float((whole @ self._hearing).sum())
            self._transformed += count
            power = whole @ self._weights
            place = torch.arange(self._frame, self._frame + count) * self._hop
            place = (place * len(self._count) // self._frames).clamp_max(len(self._count) - 1)
            self._power.index_add_(0, place, power)
            self._count.index_add_(0, place, torch.ones(count))
            self._waiting = self._waiting[:, count * self._hop :]
            self._frame += count
            ready -= count

    @property
    def loudness_db(self) -> float:
        """Its mean loudness in decibels, at least -120: to be compared with others' only."""
        mean = self._heard / max(self._transformed, 1) / self._size
        return 10 * math.log10(max(mean, 1e-12))

    def decibels(self) -> Tensor:
        """The picture [bands, columns], the highest frequency first; no samples may follow."""
        self.add(torch.zeros(len(self._waiting), self._size // 2))
        mean = self._power / self._count.clamp_min(1)[:, None]
        return 10 * mean.clamp_min(_FLOOR).log10().T.flip(0)


def draw_spectrogram(decibels: Tensor, top_db: float) -> str:
    """A picture [bands, columns] as the address of an embedded PNG.

    Args:
        decibels: see :meth:`Spectrogram.decibels`.
        top_db: level of the lightest color.
    """
    return draw_shades((decibels - top_db) / _RANGE_DB + 1, "magma")


def draw_shades(shades: Tensor, colors: str) -> str:
    """Shades from 0 to 1, [rows, columns], as the address of an embedded PNG.

    Args:
        shades: what is beyond 0 and 1 has the colors of these.
        colors: the name of a colormap of matplotlib.
    """
    numbers = shades.clamp(0, 1).mul(_SHADES - 1).round()
    # a palette of few shades: a fraction of the size and time of a picture in colors
    palette = matplotlib.colormaps[colors](np.linspace(0, 1, _SHADES), bytes=True)[:, :3]
    image = Image.fromarray(numbers.to(torch.uint8).numpy()).convert("P")
    image.putpalette(palette.tobytes())
    file = BytesIO()
    image.save(file, "PNG", compress_level=6)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def _log_bands(size: int, sample_rate: int) -> Tensor:
    """Weights of bins in bands of equal width in log frequency, [size // 2 + 1, bands].

    Bands are triangles; those narrower than a bin are widened to one, so that no band is empty.
    """
    bin_hz = sample_rate / size
    top = min(_HIGHEST_HZ, sample_rate / 2)
    low = min(_LOWEST_HZ, top / 8)
    step = math.log(top / low) / (_BANDS - 1)
    bands = torch.arange(_BANDS, dtype=torch.float64)
    width = ((1 + bin_hz / (low * (bands * step).exp())).log() / step).clamp_min(1)
    bins = torch.arange(size // 2 + 1, dtype=torch.float64) * bin_hz
    place = (bins.clamp_min(1e-9) / low).log() / step
    weights = (1 - (place[:, None] - bands).abs() / width).clamp_min(0) / width
    return weights.float()
