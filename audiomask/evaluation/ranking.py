"""How well scores tell two kinds apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The probability that a positive has a higher score than a negative; ties count half.

    The area under the ROC curve. NaN without positives or negatives.
    """
    above, below = (torch.tensor(scores, dtype=torch.float64) for scores in (positive, negative))
    difference = above[:, None] - below
    return float(((difference > 0).double() + (difference == 0).double() / 2).mean())
