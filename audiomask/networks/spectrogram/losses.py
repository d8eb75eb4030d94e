"""Losses of the spectrogram model, means over windows, so that processes agree."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def magnitude_loss(predicted: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """L1 distance of magnitudes (Liu et al. 2020, section 2.2).

    Args:
        predicted, target: [B, F, bands].
        where: bool [B, F, bands], the parts that count, some in each window.
    """
    distance = (predicted.float() - target.float()).abs() * where
    parts = where.sum(dim=(1, 2)).clamp_min(1)
    return (distance.sum(dim=(1, 2)) / parts).mean()


def cluster_loss(logits: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """Cross-entropy of clusters in hidden frames, in nats (Hsu et al. 2021, eq. 1).

    Args:
        logits: [B, F, K].
        labels: int64 [B, F].
        where: bool [B, F].
    """
    nats = F.cross_entropy(logits.float().mT, labels, reduction="none") * where
    return (nats.sum(dim=1) / where.sum(dim=1).clamp_min(1)).mean()


def continuation_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of "is the continuation", in nats.

    Args:
        logits: [B].
        truth: [B], 1 for a continuation, 0 for another passage, -1 for windows that are no pair.
            These count as 0 nats, so that the mean does not depend on how many pairs there are.
    """
    target = truth.clamp_min(0).float()
    nats = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return (nats * (truth >= 0)).mean()


class _Reverse(torch.autograd.Function):
    """The identity, with a reversed gradient (Ganin and Lempitsky 2015, eq. 16 and 17)."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        """The value itself."""
        return value.view_as(value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        """The gradient, reversed."""
        return -gradients[0]


class Adversary(nn.Module):
    """A critic that tells filled frames from true ones, by their neighborhood.

    One optimizer trains both: the gradient that reaches the filled frames is reversed.

    Args:
        bands: of the spectrum.
        dim: channels of the convolutions.
    """

    def __init__(self, bands: int, dim: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(bands, dim, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(dim, dim, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(dim, 1, 1),
        )

    def forward(self, filled: Tensor, target: Tensor, where: Tensor) -> Tensor:
        """The critic's cross-entropy in hidden frames, in nats.

        Args:
            filled: the target with predictions in its hidden frames, [B, F, bands].
            target: [B, F, bands].
            where: bool [B, F], the hidden frames.
        """
        reversed_: Tensor = _Reverse.apply(filled)
        both = torch.cat([target, reversed_])
        logits = self.layers(both.mT)[:, 0].float()
        truth = torch.cat([torch.ones_like(where), torch.zeros_like(where)]).float()
        nats = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        counted = torch.cat([where, where])
        return ((nats * counted).sum(dim=1) / counted.sum(dim=1).clamp_min(1)).mean()
