"""Reverb and panning."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

#: length of an impulse response
_REVERB_SECONDS = 0.5


def reverb_tail(
    reverb_time: float, rng: np.random.Generator, sample_rate: int
) -> npt.NDArray[np.float32]:
    """A room's impulse response [N] of unit energy: a short silence, then decaying noise.

    Args:
        reverb_time: RT60, in seconds.
        rng: random numbers.
        sample_rate: in Hz.
    """
    samples = int(_REVERB_SECONDS * sample_rate)
    time = np.arange(samples, dtype=np.float32) / sample_rate
    tail = rng.standard_normal(samples, dtype=np.float32)
    tail *= np.exp(-math.log(1000) / reverb_time * time)
    tail[: int(rng.uniform(0.005, 0.03) * sample_rate)] = 0
    tail /= np.sqrt(np.square(tail).sum()) + 1e-6
    return tail


def pan_gains(pan: float) -> tuple[float, float]:
    """Gains of left and right at constant power, both 1 in the center.

    Args:
        pan: -1 for left to 1 for right.
    """
    angle = (pan + 1) * math.pi / 4
    return math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)
