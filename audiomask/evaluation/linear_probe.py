"""Linear probes: what can be read from features by a linear map that few labels suffice for."""

from __future__ import annotations

import torch
from torch import Tensor

#: weights of the penalty that are tried, for features of unit variance, as shares of the rows
_PENALTIES = tuple(10.0**power for power in range(-4, 4))


def probe(features: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    """Predicted classes of test features, by ridge regression on labels.

    The penalty is the one with most hits when each row is left out, then the least squared error.
    Ridge regression has these in closed form (Golub, Heath and Wahba 1979, section 1), so that no
    labels are set aside. Classes without a label are never guessed.

    Args:
        features: [N, D], standardized.
        labels: int64 [N].
        test: [M, D], standardized in the same way.
        classes: number of classes.

    Returns:
        int64 [M].
    """
    rows = features.double()
    targets = torch.nn.functional.one_hot(labels, classes).double()
    center, mean = rows.mean(dim=0), targets.mean(dim=0)
    left, values, right = torch.linalg.svd(rows - center, full_matrices=False)
    aimed = left.T @ (targets - mean)
    best, weights = (-1, -float("inf")), right.T @ aimed
    for penalty in _PENALTIES:
        shrunk = values.square() / (values.square() + penalty * len(rows))
        fitted = left @ (shrunk[:, None] * aimed) + mean
        leverage = (left.square() @ shrunk + 1 / len(rows)).clamp_max(1 - 1e-9)
        errors = (targets - fitted) / (1 - leverage)[:, None]
        hits = int(((targets - errors - mean).argmax(dim=1) == labels).sum())
        rank = (hits, -float(errors.square().sum()))
        if rank > best:
            best = rank
            scale = values / (values.square() + penalty * len(rows))
            weights = right.T @ (scale[:, None] * aimed)
    # without the classes' frequencies, which would decide where the penalty is large
    scores: Tensor = (test.double() - center) @ weights
    return scores.masked_fill(mean == 0, -torch.inf).argmax(dim=1)


def standardize(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Both [N, D] and [M, D] with the mean and deviation of the first, which need no labels."""
    deviation, mean = torch.std_mean(train.double(), dim=0, correction=0)
    scale = 1 / deviation.clamp_min(1e-6)
    return (train - mean) * scale, (test - mean) * scale
