"""What depends on how loud a line is: compressor and amplifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: samples that the compressor's level is measured over
LEVEL_HOP = 512
#: how much of the compressor's level is left after another ``LEVEL_HOP``
_RELEASE = 0.9
#: as many of those are looked back upon
_RELEASE_HOPS = 32


def compress(lines: Tensor, threshold: Tensor, ratio: Tensor) -> Tensor:
    """Lines [L, C, T] with what is louder than a threshold made softer, all channels alike.

    Args:
        lines: float32.
        threshold: [L] dB over the line's mean power.
        ratio: [L] dB in for a dB out, over the threshold.
    """
    gain = compressor_gain(lines.square().mean(dim=1), threshold, ratio)
    return lines * gain[:, None]


def compressor_gain(power: Tensor, threshold: Tensor, ratio: Tensor) -> Tensor:
    """The factors [L, T] by which a compressor changes lines of a power [L, T].

    The level follows attacks within ``LEVEL_HOP`` samples and falls by ``_RELEASE`` a hop.
    """
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
    """Soft clipping at twice the sample rate, so that little of what it adds folds back.

    Args:
        lines: [L, C, T]; each is scaled to its peak first.
        gain_db: [L] into the clipper.
        bias: [L] added before it, as a share of full drive.

    Returns:
        [L, C, T], with the peak of before.
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
