"""Excerpt: one item of training data, whatever layout it came from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Excerpt(NamedTuple):
    """A passage of a song.

    Attributes:
        mixture: [T], the sum of the stems.
        stems: [S + 1, T], the named stems, then all that is none of them; zeros in the last
            place and the mixture there when the parts are unknown.
        separated: whether the parts are known, a bool scalar.
    """

    mixture: Tensor
    stems: Tensor
    separated: Tensor


def generator(seed: int, index: int) -> torch.Generator:
    """Random numbers for item ``index`` of a data set.

    PyTorch's CPU generator takes in 32 bits of its seed only: both numbers are hashed into them.
    """
    drawn = np.random.default_rng([seed, index, 2]).integers(1 << 32)
    return torch.Generator().manual_seed(int(drawn))


def mix(stems: Tensor, rng: np.random.Generator) -> Excerpt:
    """Sum stems [S + 1, T] at a random level, kept below clipping."""
    mixture = stems.sum(dim=0)
    loud = float(mixture.square().mean().sqrt())
    peak = float(mixture.abs().max())
    if peak > 1e-6:
        gain = 10 ** (rng.uniform(-30, -12) / 20) / max(loud, 1e-6)
        gain = min(gain, 0.99 / peak)
        stems = stems * gain
        mixture = stems.sum(dim=0)
    return Excerpt(mixture, stems, torch.tensor(True))
