"""Signals to test with: sines, notes, melodies and noise, always the same.

A signal is of amplitude 1 (or, if it is noise, of standard deviation 1) unless it takes a level:
multiply it to make it softer. Lengths are in samples and full scale is 1. Tensors are in single
precision and [T] or [C, T], as the package passes sound on. Arrays are in double precision and
[T] or [T, C], as soundfile reads and writes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

RATE = 44_100
#: one step of 16 bits
STEP = 2.0**-15

Audio = npt.NDArray[np.float64]


def tone(
    hertz: float | Sequence[float],
    samples: int,
    rate: int = RATE,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A sine from phase 0, [T]; of several frequencies a sine each, [C, T].

    It is computed in double precision, so that its phase is right however long it is.
    """
    time = torch.arange(samples, dtype=torch.float64) / rate
    pitch = torch.as_tensor(hertz, dtype=torch.float64)[..., None]
    return torch.sin(2 * math.pi * pitch * time).to(dtype)


def note(pitch: float, samples: int, decay: float = 4.0, rate: int = RATE) -> Audio:
    """A sine at a MIDI pitch, [T], that falls to 1/e in 1 / ``decay`` seconds."""
    time = np.arange(samples) / rate
    return np.exp(-decay * time) * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)


def melody(seconds: float, channels: int = 2, rate: int = RATE) -> Audio:
    """Another pitch and loudness every tenth of a second, without repetitions, [T, C].

    The channels are alike. The amplitude is 0.1 to 0.3, the pitch 200 to 1000 Hz.
    """
    steps = np.random.default_rng(5).uniform(0, 1, (round(seconds * 10) + 1, 2))
    time = np.arange(round(seconds * rate)) / rate
    pitch, loud = steps[(time * 10).astype(int)].T
    wave = (0.1 + 0.2 * loud) * np.sin(2 * np.pi * np.cumsum(200 + 800 * pitch) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """White Gaussian noise as a tensor of any shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gaussian_noise(*shape: int, seed: int = 0) -> Audio:
    """White Gaussian noise as an array of any shape."""
    return np.random.default_rng(seed).standard_normal(shape)


def uniform_noise(*shape: int, level: float = 0.5, seed: int = 0) -> Audio:
    """White noise between -``level`` and ``level``, as an array of any shape."""
    return np.random.default_rng(seed).uniform(-level, level, shape)


def restless_noise(channels: int, samples: int, seed: int = 0) -> Tensor:
    """Noise on the grid of 16 bits, nowhere silent, constant or at full scale, [C, T]."""
    values = np.random.default_rng(seed).integers(100, 16_000, (channels, samples))
    values[:, ::2] *= -1
    return torch.from_numpy(values * STEP).float()
