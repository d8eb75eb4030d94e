"""Effects that make one instrument sound like many: drive, equaliser and room, for many lines.

A *line* is what one player plays, mono. What happens to it is drawn beforehand, by numbers that
travel with it, so that the same few tensor operations serve a loader's worker and a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

#: points of an equaliser's curve, evenly from 0 Hz to Nyquist
EQ_POINTS = 2049
#: length of a room's tail
REVERB_SECONDS = 0.5
#: how likely it is that a stem is driven; 0.05 for the others
DRIVE_CHANCE = {"guitar": 0.35, "bass": 0.2}


class EffectParams(NamedTuple):
    """Parameters of the effects on L lines that play in R rooms.

    Attributes:
        drive: [L] gain into the soft clipper in dB; below 0 for a line that stays clean.
        curve: [L, EQ_POINTS] the equaliser's gain over frequency, as a factor.
        wet: [L] how much of its room is added.
        reverb: [R, N] the rooms' tails, unit energy.
        room: [L] int64, the room that a line plays in.
    """

    drive: Tensor
    curve: Tensor
    wet: Tensor
    reverb: Tensor
    room: Tensor


def sample_effects(
    stems: Sequence[str],
    rng: np.random.Generator,
    reverberation: float,
    sample_rate: int,
    chance: float = 1.0,
) -> EffectParams:
    """Random drive, equaliser and share of one common room for the lines of one song.

    Args:
        stems: what each line is; guitars and basses are driven more often than the others.
        rng: decides everything.
        reverberation: seconds until the room has lost 60 dB.
        sample_rate: of the lines.
        chance: how likely it is that a line is treated at all.
    """
    drives, curves, wets = [], [], []
    for stem in stems:
        treated = rng.random() < chance
        driven = rng.random() < DRIVE_CHANCE.get(stem, 0.05)
        drives.append(float(rng.uniform(0, 30)) if driven and treated else -1.0)
        shaped = rng.random() < 0.7
        curves.append(
            equalizer(rng, sample_rate) if shaped and treated else np.ones(EQ_POINTS, np.float32)
        )
        distant = rng.random() < 0.5
        amount = rng.uniform(0.02, 0.5) / (3 if stem == "bass" else 1)
        wets.append(float(amount) if distant and treated else 0.0)
    return EffectParams(
        torch.tensor(drives),
        torch.from_numpy(np.array(curves, dtype=np.float32).reshape(-1, EQ_POINTS)),
        torch.tensor(wets),
        torch.from_numpy(reverb_tail(reverberation, rng, sample_rate))[None],
        torch.zeros(len(stems), dtype=torch.int64),
    )


def apply_effects(lines: Tensor, effects: EffectParams) -> Tensor:
    """Drive, equalise and place lines in their rooms.

    Args:
        lines: [L, T]; rows that nothing happens to come back as they are.
        effects: what happens to them.

    Returns:
        [L, T]
    """
    out = lines.clone()
    driven = effects.drive >= 0
    if driven.any():
        out[driven] = drive(out[driven], effects.drive[driven])
    filtered = (effects.wet > 0) | (effects.curve != 1).any(dim=1)
    if filtered.any():
        length = lines.shape[1]
        size = next_fast_len(length + effects.reverb.shape[1], real=True)
        curve = F.interpolate(
            effects.curve[filtered][:, None], size // 2 + 1, mode="linear", align_corners=True
        )[:, 0]
        reverb = torch.fft.rfft(effects.reverb, n=size)[effects.room[filtered]]
        response = (effects.wet[filtered, None] * reverb).add_(1).mul_(curve)
        spectrum = torch.fft.rfft(out[filtered], n=size).mul_(response)
        out[filtered] = torch.fft.irfft(spectrum, n=size)[:, :length]
    return out


def drive(lines: Tensor, gain_db: Tensor) -> Tensor:
    """Soft clipping of lines [L, T], each scaled to its peak, driven by ``gain_db`` [L]."""
    peak = lines.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)
    return torch.tanh(lines / peak * 10 ** (gain_db[:, None] / 20)) * peak


def equalizer(rng: np.random.Generator, sample_rate: int) -> npt.NDArray[np.float32]:
    """A smooth random gain [EQ_POINTS]: a tilt and a few broad bells, ± 12 dB at most."""
    hz = np.linspace(0, sample_rate / 2, EQ_POINTS)
    octave = np.log2(np.maximum(hz, 20) / 1000)
    gain = float(rng.normal(0, 1.0)) * octave
    for _ in range(int(rng.integers(0, 4))):
        centre, width = rng.uniform(-4.5, 4), rng.uniform(0.3, 1.5)
        gain = gain + rng.normal(0, 5) * np.exp(-(((octave - centre) / width) ** 2))
    return np.asarray(10 ** (np.clip(gain, -12, 12) / 20), dtype=np.float32)


def reverb_tail(
    reverberation: float, rng: np.random.Generator, sample_rate: int
) -> npt.NDArray[np.float32]:
    """A room's tail [N], unit energy: a short silence, then noise that decays."""
    samples = int(REVERB_SECONDS * sample_rate)
    time = np.arange(samples, dtype=np.float32) / sample_rate
    tail = rng.standard_normal(samples, dtype=np.float32)
    tail *= np.exp(-math.log(1000) / reverberation * time)
    tail[: int(rng.uniform(0.005, 0.03) * sample_rate)] = 0
    tail /= np.sqrt(np.square(tail).sum()) + 1e-6
    return tail
