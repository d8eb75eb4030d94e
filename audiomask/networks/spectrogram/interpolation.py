"""Linear interpolation over hidden frames."""

from __future__ import annotations

import torch
from torch import Tensor


def interpolate(features: Tensor, hidden: Tensor) -> Tensor:
    """Hidden frames interpolated linearly between the nearest known frames on either side.

    Before the first known frame and after the last one it is repeated. Windows without a known
    frame stay as they are.

    Args:
        features: [..., F, bands].
        hidden: bool [..., F].
    """
    frames = features.shape[-2]
    place = torch.arange(frames, device=features.device)
    before = torch.where(hidden, -1, place).cummax(dim=-1).values
    after = torch.where(hidden, frames, place).flip(-1).cummin(dim=-1).values.flip(-1)
    alone = (before < 0) & (after == frames)
    left = torch.where(before < 0, after, before)
    right = torch.where(after == frames, before, after)
    left, right = (torch.where(alone, place, side) for side in (left, right))
    share = ((place - left) / (right - left).clamp_min(1)).to(features.dtype)
    sides = [features.gather(-2, side[..., None].expand(features.shape)) for side in (left, right)]
    return torch.lerp(sides[0], sides[1], share[..., None])
