"""Excerpt: one item of training data, whatever layout it came from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: from this index on, items are in no epoch's order: they are what others are mashed up with
UNORDERED = 1 << 29


class Excerpt(NamedTuple):
    """A passage of a song, or a batch of them with a further first dimension.

    Attributes:
        mixture: [C, T], the sum of the stems on one channel or two.
        stems: [S + 1, C, T], the named stems, then all that is none of them; zeros in the named
            places and the mixture in the last when the parts are unknown.
        has_stems: whether the parts are known, a bool scalar.
    """

    mixture: Tensor
    stems: Tensor
    has_stems: Tensor


def generator(seed: int, index: int) -> torch.Generator:
    """Random numbers for item ``index`` of a data set.

    PyTorch's CPU generator takes in 32 bits of its seed only: both numbers are hashed into them.
    """
    drawn = np.random.default_rng([seed, index, 2]).integers(1 << 32)
    return torch.Generator().manual_seed(int(drawn))


def sample_rms_db(rng: np.random.Generator) -> float:
    """A mixture's root mean square, in decibels of full scale, as loud and soft masters have it."""
    return float(rng.uniform(-30, -12))


def rms(lines: Tensor) -> Tensor:
    """Root mean square of lines [L, C, T], [L].

    Summed in double precision, so that the order of the sum, and with it the number of threads,
    does not show in the result.
    """
    flat = lines.flatten(1)
    norm: Tensor = torch.linalg.vector_norm(flat, dim=1, dtype=torch.float64)
    root: Tensor = norm / flat.shape[1] ** 0.5
    return root.to(lines.dtype)


def scale_to_rms(stems: Tensor, rms_db: Tensor) -> Excerpt:
    """Sum stems at given levels, kept below clipping; silence stays silent.

    Args:
        stems: [I, S + 1, C, T], in balance.
        rms_db: [I], the mixtures' root mean square in decibels of full scale.
    """
    mixture = stems.sum(dim=1)
    loud = rms(mixture)
    peak = mixture.abs().amax(dim=(1, 2))
    gain = torch.minimum(10 ** (rms_db / 20) / loud.clamp_min(1e-6), 0.99 / peak.clamp_min(1e-6))
    stems = stems * torch.where(peak > 1e-6, gain, 1)[:, None, None, None]
    return Excerpt(stems.sum(dim=1), stems, torch.ones_like(peak, dtype=torch.bool))
