"""Nonlinear effects: compressor and amplifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: samples that the compressor's level is measured over
LEVEL_HOP = 512
#: decay of the compressor's level over ``LEVEL_HOP`` samples
_RELEASE = 0.9
#: hops after which the decay is cut off
_RELEASE_HOPS = 32


def compress(lines: Tensor, threshold: Tensor, ratio: Tensor) -> Tensor:
    """Compressed lines, with the same gain on all channels.

    Args:
        lines: float32 [L, C, T].
        threshold: [L], in dB above the line's mean power.
        ratio: [L], dB of input per dB of output above the threshold.
    """
    gain = compressor_gain(lines.square().mean(dim=1), threshold, ratio)
    return lines * gain[:, None]


def compressor_gain(power: Tensor, threshold: Tensor, ratio: Tensor) -> Tensor:
    """Gains [L, T] of a compressor for lines of power [L, T]; see ``compress``."""
    length = power.shape[-1]
    hops = F.avg_pool1d(power[:, None], LEVEL_HOP, ceil_mode=True)
    decay = _RELEASE ** torch.arange(_RELEASE_HOPS, device=power.device, dtype=power.dtype)
    padded = F.pad(hops, (_RELEASE_HOPS - 1, 0))
    level = (padded.unfold(-1, _RELEASE_HOPS, 1) * decay.flip(0)).amax(dim=-1)
    mean = power.mean(dim=-1, keepdim=True)[:, None].clamp_min(1e-12)
    over = 10 * (level / mean).clamp_min(1e-6).log10() - threshold[:, None, None]
    gain_db = -(1 - 1 / ratio[:, None, None]) * over.clamp_min(0)
    smooth = F.interpolate(gain_db, length, mode="linear", align_corners=False)
    factors: Tensor = 10 ** (smooth[:, 0] / 20)
    return factors


def amplify(lines: Tensor, gain_db: Tensor, bias: Tensor) -> Tensor:
    """Soft clipping by tanh, oversampled twice against aliasing.

    Args:
        lines: [L, C, T]; each is normalized by its peak first.
        gain_db: [L], before clipping, in dB.
        bias: [L], added before clipping, for even harmonics.

    Returns:
        [L, C, T], with the former peaks.
    """
    length = lines.shape[-1]
    peak = lines.abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-6)
    even = length + length % 2
    doubled = 2 * torch.fft.irfft(torch.fft.rfft(lines / peak, n=even), n=2 * even)
    offset = bias[:, None, None]
    driven = torch.tanh(doubled * 10 ** (gain_db[:, None, None] / 20) + offset)
    driven -= torch.tanh(offset)
    spectrum = torch.fft.rfft(driven)[..., : even // 2 + 1]
    clipped = torch.fft.irfft(spectrum, n=even)[..., :length] / 2
    loudest = clipped.abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-6)
    scaled: Tensor = clipped * (peak / loudest)
    return scaled
