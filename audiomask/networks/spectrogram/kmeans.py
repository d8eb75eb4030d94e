"""K-means: clusters of features, which are the targets of hidden frames and semantic tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: passes of Lloyd's algorithm; rows of which the distances are computed at once
_PASSES, ROWS = 30, 1 << 14


def nearest(features: Tensor, centers: Tensor) -> Tensor:
    """The nearest center of each row.

    Args:
        features: [..., D].
        centers: [K, D].

    Returns:
        int64 [...].
    """
    half = centers.square().sum(dim=1) / 2
    rows = features.reshape(-1, centers.shape[1])
    found = [(half - part @ centers.T).argmin(dim=1) for part in torch.split(rows, ROWS)]
    return torch.cat(found).view(features.shape[:-1])


def kmeans(features: Tensor, number: int, seed: int = 0) -> Tensor:
    """Centers of clusters: k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's algorithm.

    A cluster that loses all rows begins again at the row farthest from its center.

    Args:
        features: [N, D], N at least 1.
        number: of clusters, K.
        seed: decides the first centers.

    Returns:
        [K, D]; with fewer than K different rows some centers are equal.
    """
    rows = features.float()
    draw = torch.Generator().manual_seed(seed)
    centers = rows[torch.randint(len(rows), (1,), generator=draw).to(rows.device)]
    distance = (rows - centers).square().sum(dim=1)
    for _ in range(1, number):
        # by inverse transform: multinomial is limited to 2²⁴ rows
        until = distance.double().cumsum(dim=0)
        target = torch.rand(1, generator=draw, dtype=torch.float64).to(rows.device) * until[-1]
        chosen = rows[torch.searchsorted(until, target).clamp_max(len(rows) - 1)]
        centers = torch.cat([centers, chosen])
        distance = torch.minimum(distance, (rows - chosen).square().sum(dim=1))
    for _ in range(_PASSES):
        labels = nearest(rows, centers)
        count = torch.bincount(labels, minlength=number)
        total = torch.zeros_like(centers).index_add_(0, labels, rows)
        moved = torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], centers)
        empty = (count == 0).nonzero().flatten()
        if len(empty):
            far = (rows - centers[labels]).square().sum(dim=1)
            farthest = far.topk(min(len(empty), len(rows))).indices
            moved[empty[: len(farthest)]] = rows[farthest]
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


class Clusters(nn.Module):
    """Clusters of features, which are standardized first.

    Attributes:
        centers: [number, width], all zeros before ``find``.
        mean, scale: [width], of the features.

    Args:
        number: of clusters.
        width: of the features.
    """

    centers: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, number: int, width: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.zeros(number, width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    @property
    def found(self) -> bool:
        """Whether there are clusters."""
        return bool(self.centers.any())

    @torch.no_grad()
    def find(self, features: Tensor) -> None:
        """Find the clusters of features [N, width]."""
        deviation, mean = torch.std_mean(features.float(), dim=0, correction=0)
        self.mean.copy_(mean)
        self.scale.copy_(1 / deviation.clamp_min(1e-6))
        self.centers.copy_(kmeans((features - self.mean) * self.scale, len(self.centers)))

    def forward(self, features: Tensor) -> Tensor:
        """The clusters of features [..., width], int64 [...]."""
        return nearest((features - self.mean) * self.scale, self.centers)
