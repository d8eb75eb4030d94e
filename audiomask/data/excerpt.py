"""Excerpt: an item of training data, the same for all layouts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: from this index on, items are in no epoch's order: they are the second halves of mashups
UNORDERED = 1 << 29


class Elsewhere(NamedTuple):
    """A second passage of the same recording, at the end of an excerpt.

    Bands go on in place of it, as they are no part of a recording.

    Attributes:
        samples: its length, which counts in that of the excerpt.
        distance: least number of samples between it and the first passage, which it precedes or
            follows. It is silence where a recording is too short for that.
    """

    samples: int
    distance: int


class Excerpt(NamedTuple):
    """A passage of a song, or a batch of them with a further first dimension.

    Attributes:
        mixture: [C, T], the sum of the stems; C is 1 or 2.
        stems: [S + 1, C, T], the named stems, then the sum of all others. A recording without
            stems is in the last place, the others being 0.
        has_stems: bool scalar, False for a recording without stems.
    """

    mixture: Tensor
    stems: Tensor
    has_stems: Tensor


def generator(seed: int, index: int) -> torch.Generator:
    """A random number generator for item ``index`` of a data set.

    Both numbers are hashed into 32 bits, as PyTorch's CPU generator ignores the rest of its seed.
    """
    hashed = np.random.default_rng([seed, index, 2]).integers(1 << 32)
    return torch.Generator().manual_seed(int(hashed))


def sample_rms_db(rng: np.random.Generator) -> float:
    """A random root mean square for a mixture, in dB of full scale."""
    return float(rng.uniform(-30, -12))


def rms(lines: Tensor) -> Tensor:
    """Root mean square [L] of lines [L, C, T].

    The sum is in double precision, so that the result is the same for any number of threads.
    """
    flat = lines.flatten(1)
    norm: Tensor = torch.linalg.vector_norm(flat, dim=1, dtype=torch.float64)
    root: Tensor = norm / flat.shape[1] ** 0.5
    return root.to(lines.dtype)


def scale_to_rms(stems: Tensor, rms_db: Tensor) -> Excerpt:
    """Excerpts of stems, scaled to a level or to a peak of 0.99 if that is lower.

    Args:
        stems: [I, S + 1, C, T].
        rms_db: [I], the mixtures' root mean square, in dB of full scale.
    """
    mixture = stems.sum(dim=1)
    level = rms(mixture)
    peak = mixture.abs().amax(dim=(1, 2))
    gain = torch.minimum(10 ** (rms_db / 20) / level.clamp_min(1e-6), 0.99 / peak.clamp_min(1e-6))
    stems = stems * torch.where(peak > 1e-6, gain, 1)[:, None, None, None]
    return Excerpt(stems.sum(dim=1), stems, torch.ones_like(peak, dtype=torch.bool))
