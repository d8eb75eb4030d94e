"""Mastering: compression and limiting of mixtures, with the same gain on each stem."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiomask.data.effects.dynamics import compressor_gain

#: probabilities of compression and of limiting
COMPRESSION_PROB, LIMITING_PROB = 0.4, 0.25


class Master(NamedTuple):
    """Parameters of mastering.

    Attributes:
        threshold: of the compressor, in dB above the mean power; inf for none.
        ratio: of the compressor.
        limit_db: gain into the limiter, in dB; 0 for none.
    """

    threshold: float
    ratio: float
    limit_db: float


def sample_master(rng: np.random.Generator) -> Master:
    """Random parameters of mastering."""
    threshold, ratio, limit_db = np.inf, 1.0, 0.0
    if rng.random() < COMPRESSION_PROB:
        threshold, ratio = float(rng.uniform(-9, 6)), float(rng.uniform(1.2, 4))
    if rng.random() < LIMITING_PROB:
        limit_db = float(rng.uniform(1, 9))
    return Master(threshold, ratio, limit_db)


def master(stems: Tensor, params: Tensor) -> Tensor:
    """Stems of mastered mixtures, which are still the sums of their stems.

    Args:
        stems: [I, S, C, T].
        params: [I, 3], rows of ``Master``.
    """
    out = stems
    threshold, ratio, limit_db = params.unbind(dim=1)
    compressed = threshold.isfinite()
    if compressed.any():
        out = out.clone()
        some = out[compressed]
        power = some.sum(dim=1).square().mean(dim=1)
        gain = compressor_gain(power, threshold[compressed], ratio[compressed])
        out[compressed] = some * gain[:, None, None]
    limited = limit_db > 0
    if limited.any():
        out = out.clone() if out is stems else out
        some = out[limited]
        mixture = some.sum(dim=1)
        peak = mixture.abs().amax(dim=(1, 2)).clamp_min(1e-6)
        driven = mixture / peak[:, None, None] * 10 ** (limit_db[limited, None, None] / 20)
        factor = torch.where(driven.abs() > 1e-4, torch.tanh(driven) / driven, 1)
        out[limited] = some * factor[:, None]
    return out
