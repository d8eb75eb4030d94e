"""Effects that make one instrument sound like many: equaliser, drive and room."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

SAMPLE_RATE = 44100


def colour(audio: Tensor, stem: str, rng: np.random.Generator, reverberation: float) -> Tensor:
    """Random equaliser, drive and room for one stem.

    Args:
        audio: [T] mono.
        stem: guitars and basses are driven more often than the others.
        rng: decides what happens.
        reverberation: seconds until the room has lost 60 dB.

    Returns:
        [T]
    """
    if rng.random() < {"guitar": 0.35, "bass": 0.2}.get(stem, 0.05):
        audio = drive(audio, float(rng.uniform(0, 30)))
    length = len(audio)
    size = next_fast_len(length + SAMPLE_RATE // 2, real=True)
    spectrum = None
    if rng.random() < 0.7:
        spectrum = torch.fft.rfft(audio, n=size) * equaliser(size // 2 + 1, rng)
    if rng.random() < 0.5:
        amount = float(rng.uniform(0.02, 0.5))
        if stem == "bass":
            amount /= 3
        room = torch.fft.rfft(impulse(reverberation, rng), n=size)
        spectrum = torch.fft.rfft(audio, n=size) if spectrum is None else spectrum
        spectrum = spectrum * (1 + amount * room)
    return audio if spectrum is None else torch.fft.irfft(spectrum, n=size)[:length]


def drive(audio: Tensor, gain_db: float) -> Tensor:
    """Soft clipping of audio [T] scaled to its peak."""
    peak = audio.abs().max().clamp_min(1e-6)
    return torch.tanh(audio / peak * 10 ** (gain_db / 20)) * peak


def equaliser(bins: int, rng: np.random.Generator) -> Tensor:
    """A smooth random gain over frequency [bins]: a tilt and a few broad bells, ± 12 dB at most."""
    hz = np.linspace(0, SAMPLE_RATE / 2, 2049)
    octave = np.log2(np.maximum(hz, 20) / 1000)
    gain = float(rng.normal(0, 1.0)) * octave
    for _ in range(int(rng.integers(0, 4))):
        centre, width = rng.uniform(-4.5, 4), rng.uniform(0.3, 1.5)
        gain = gain + rng.normal(0, 5) * np.exp(-(((octave - centre) / width) ** 2))
    curve = 10 ** (np.clip(gain, -12, 12) / 20)
    place = np.linspace(0, 2048, bins)
    return torch.from_numpy(np.interp(place, np.arange(2049), curve).astype(np.float32))


def impulse(reverberation: float, rng: np.random.Generator) -> Tensor:
    """A room's tail [0.5 s]: noise that decays exponentially after a short silence, unit energy."""
    length = SAMPLE_RATE // 2
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    time = torch.arange(length) / SAMPLE_RATE
    tail = torch.randn(length, generator=generator) * torch.exp(
        -math.log(1000) * time / reverberation
    )
    tail[: int(rng.uniform(0.005, 0.03) * SAMPLE_RATE)] = 0
    return tail / tail.square().sum().sqrt().clamp_min(1e-6)
