"""Mastering: what is done to a whole mixture, and with it to each of its stems alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiomask.data.effects.dynamics import compressor_gain

#: numbers that say how an excerpt is mastered
_MASTER_PARAMS = 3
#: shares of excerpts whose mixture is compressed and limited
COMPRESSED, LIMITED = 0.4, 0.25


class Master(NamedTuple):
    """How mixtures are mastered.

    Attributes:
        threshold: dB over the mean power where the compressor sets in; inf for none.
        ratio: of the compressor.
        limit_db: by how many dB the loudest samples are limited; 0 for none.
    """

    threshold: float
    ratio: float
    limit_db: float


def sample_master(rng: np.random.Generator) -> Master:
    """Bus compression at times, and limiting at times."""
    threshold, ratio, limit_db = np.inf, 1.0, 0.0
    if rng.random() < COMPRESSED:
        threshold, ratio = float(rng.uniform(-9, 6)), float(rng.uniform(1.2, 4))
    if rng.random() < LIMITED:
        limit_db = float(rng.uniform(1, 9))
    return Master(threshold, ratio, limit_db)


def master(stems: Tensor, params: Tensor) -> Tensor:
    """Stems [I, S, C, T] with the gains that mastering gives their mixture: they still add up.

    Args:
        stems: in balance.
        params: [I, MASTER_PARAMS], rows of ``Master``.
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
