"""Confidence intervals of means over songs, by the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: resamplings, and the share of them that an interval holds
_ROUNDS, _SHARE = 10_000, 0.95


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of values, one a song.

    Songs are drawn with replacement. For a comparison of two systems the values are their
    differences, song by song, so that what songs differ in does not count.

    Args:
        values: at least one.
        seed: decides the draws.
    """
    draw = np.random.default_rng(seed).integers(len(values), size=(_ROUNDS, len(values)))
    means = np.asarray(values)[draw].mean(axis=1)
    tail = (1 - _SHARE) / 2
    lower, upper = np.quantile(means, (tail, 1 - tail))
    return float(lower), float(upper)
