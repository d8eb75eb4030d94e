"""Random gains over frequency: equalizers, input filters of amplifiers, loudspeaker cabinets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audiomask.data.effects.params import EQ_POINTS, Curve

#: lowest gain of a cabinet, in dB
CABINET_FLOOR = -48.0


def _frequencies(sample_rate: int) -> npt.NDArray[np.float64]:
    """The frequencies of a curve in Hz, [EQ_POINTS], none below 20 Hz."""
    return np.maximum(np.linspace(0, sample_rate / 2, EQ_POINTS), 20)


def equalizer(rng: np.random.Generator, sample_rate: int) -> Curve:
    """Gains of an equalizer, [EQ_POINTS]: a tilt and a few broad bells, within ± 12 dB."""
    octave = np.log2(_frequencies(sample_rate) / 1000)
    gain = float(rng.normal(0, 1.0)) * octave
    for _ in range(int(rng.integers(0, 4))):
        center, width = rng.uniform(-4.5, 4), rng.uniform(0.3, 1.5)
        gain = gain + rng.normal(0, 5) * np.exp(-(((octave - center) / width) ** 2))
    return np.asarray(10 ** (np.clip(gain, -12, 12) / 20), dtype=np.float32)


def input_tone(rng: np.random.Generator, sample_rate: int) -> Curve:
    """Gains before an amplifier's or pedal's clipping, [EQ_POINTS]: less bass, more mids."""
    hz = _frequencies(sample_rate)
    corner = float(np.exp(rng.uniform(np.log(40), np.log(700))))
    gain = 1 / np.sqrt(1 + (corner / hz) ** 2)
    center = float(np.exp(rng.uniform(np.log(500), np.log(2500))))
    bell = rng.uniform(0, 12) * np.exp(-((np.log2(hz / center) / rng.uniform(0.5, 1.5)) ** 2))
    return np.asarray(gain * 10 ** (bell / 20), dtype=np.float32)


def cabinet(rng: np.random.Generator, sample_rate: int) -> Curve:
    """Gains of a guitar cabinet with a microphone, [EQ_POINTS].

    A bandpass with steep slopes, a presence peak below its upper end, and random ripple.
    """
    hz = _frequencies(sample_rate)
    low, high = rng.uniform(60, 140), float(np.exp(rng.uniform(np.log(3000), np.log(7000))))
    below, above = float(rng.integers(20, 31)), float(rng.integers(10, 21))
    gain = -below * np.log10(1 + (low / hz) ** 2) - above * np.log10(1 + (hz / high) ** 4)
    presence = np.log2(hz / (high * rng.uniform(0.5, 0.85)))
    gain = gain + rng.uniform(0, 8) * np.exp(-((presence / rng.uniform(0.3, 0.7)) ** 2))
    octave = np.log2(hz / 1000)
    for _ in range(int(rng.integers(4, 14))):
        bell = (octave - rng.uniform(-3.5, 2.5)) / rng.uniform(0.08, 0.3)
        gain = gain + rng.normal(0, 3) * np.exp(-(bell**2))
    return np.asarray(10 ** (np.maximum(gain, CABINET_FLOOR) / 20), dtype=np.float32)
