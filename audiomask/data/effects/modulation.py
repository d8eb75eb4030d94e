"""Modulated delay: chorus, flanger and vibrato."""

from __future__ import annotations

import torch
from torch import Tensor


def modulate(
    lines: Tensor, mix: Tensor, delay: Tensor, depth: Tensor, rate: Tensor, phase: Tensor
) -> Tensor:
    """Lines [L, C, T] with a copy of themselves whose delay goes up and down.

    Args:
        lines: float32.
        mix: [L] share of the copy: 1 is vibrato, half of it chorus, with short delays a flanger.
        delay: [L] the shortest delay, in samples.
        depth: [L] by how many samples it grows.
        rate: [L] cycles a sample.
        phase: [L] in cycles, where the first sample is.
    """
    length = lines.shape[-1]
    time = torch.arange(length, device=lines.device, dtype=torch.float64)
    cycle = torch.sin(2 * torch.pi * (time * rate[:, None].double() + phase[:, None].double()))
    behind = delay[:, None].double() + depth[:, None].double() * 0.5 * (1 + cycle)
    place = (time - behind).clamp_min(0)
    before = place.long()
    share = (place - before).float()[:, None]
    after = (before + 1).clamp_max(length - 1)
    rows = lines.shape[:2]
    low = lines.gather(2, before[:, None].expand(*rows, length))
    high = lines.gather(2, after[:, None].expand(*rows, length))
    return torch.lerp(lines, torch.lerp(low, high, share), mix[:, None, None])
