"""Modulated delay: chorus, flanger and vibrato."""

from __future__ import annotations

import torch
from torch import Tensor


def modulate(
    lines: Tensor, mix: Tensor, delay: Tensor, depth: Tensor, rate: Tensor, phase: Tensor
) -> Tensor:
    """Lines mixed with a copy whose delay is modulated by a sine.

    Args:
        lines: float32 [L, C, T].
        mix: [L], share of the copy: 1 for vibrato, about 0.5 for chorus and flanger.
        delay: [L], the shortest delay, in samples.
        depth: [L], range of the delay, in samples.
        rate: [L], cycles a sample.
        phase: [L], of the first sample, in cycles.
    """
    length = lines.shape[-1]
    time = torch.arange(length, device=lines.device, dtype=torch.float64)
    cycle = torch.sin(2 * torch.pi * (time * rate[:, None].double() + phase[:, None].double()))
    delays = delay[:, None].double() + depth[:, None].double() * 0.5 * (1 + cycle)
    position = (time - delays).clamp_min(0)
    before = position.long()
    fraction = (position - before).float()[:, None]
    after = (before + 1).clamp_max(length - 1)
    rows = lines.shape[:2]
    low = lines.gather(2, before[:, None].expand(*rows, length))
    high = lines.gather(2, after[:, None].expand(*rows, length))
    return torch.lerp(lines, torch.lerp(low, high, fraction), mix[:, None, None])
