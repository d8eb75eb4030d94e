"""Codebook usage."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.runtime import distributed


def perplexity(codes: Tensor, codebook_size: int) -> Tensor:
    """Exp of the entropy of code usage by level, [levels], of codes [B, levels, F].

    Codes of all training processes are counted.
    """
    perplexities = []
    for level in codes.unbind(dim=1):
        counts = distributed.all_reduce_sum(
            torch.bincount(level.flatten(), minlength=codebook_size).float()
        )
        entropy: Tensor = torch.special.entr(counts / counts.sum().clamp_min(1)).sum()
        perplexities.append(entropy.exp())
    return torch.stack(perplexities)
