"""Swept filters: wah and phaser.

Both are applied to the short-time spectrum. Their filters move little within a window of 46 ms.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: stages that stand for a wah
WAH = -1
#: window and hop of the spectrum, in samples
_SIZE, _HOP = 2048, 512
#: resonance of a wah: the center frequency over the bandwidth; and the share that passes it by
_RESONANCE, _LEAK = 3.5, 0.1


def sweep(
    lines: Tensor,
    stages: Tensor,
    mix: Tensor,
    low: Tensor,
    high: Tensor,
    rate: Tensor,
    phase: Tensor,
) -> Tensor:
    """Lines through a filter whose frequency goes up and down, evenly in octaves.

    A phaser adds a copy through all-pass stages, 1 - jf/c over 1 + jf/c each, so that notches move
    with c. A wah is a resonance at c (a two-pole band-pass).

    Args:
        lines: float32 [L, C, T].
        stages: [L], whole numbers: all-pass stages of a phaser, or ``WAH``.
        mix: [L], share of the copy: 0.5 for the deepest notches; of a wah, the share of its sound.
        low, high: [L], range of the frequency, in cycles a sample.
        rate: [L], cycles of the sweep a sample.
        phase: [L], of the first sample, in cycles.

    Returns:
        [L, C, T]
    """
    length = lines.shape[-1]
    window = torch.hann_window(_SIZE, device=lines.device)
    flat = lines.flatten(0, 1)
    spectrum = torch.stft(
        flat, _SIZE, _HOP, window=window, pad_mode="constant", return_complex=True
    )
    bins, frames = spectrum.shape[-2:]
    time = _HOP * torch.arange(frames, device=lines.device)
    swing = 0.5 - 0.5 * torch.cos(2 * torch.pi * (time * rate[:, None] + phase[:, None]))
    center = low[:, None] * (high / low)[:, None] ** swing
    # frequency over the center's, [L, bins, frames]
    ratio = torch.arange(bins, device=lines.device)[:, None] / _SIZE / center[:, None]
    one = torch.ones_like(ratio)
    stage = torch.complex(one, -ratio) / torch.complex(one, ratio)
    count = stages.clamp_min(0)[:, None, None].to(ratio.dtype)
    passed = torch.polar(one, stage.angle() * count)
    band = torch.complex(torch.zeros_like(ratio), ratio / _RESONANCE)
    resonance = band / (torch.complex(1 - ratio.square(), torch.zeros_like(ratio)) + band)
    wah = (stages == WAH)[:, None, None]
    filtered = torch.where(wah, resonance + _LEAK, passed)
    response = 1 - mix[:, None, None] + mix[:, None, None] * filtered
    shaped = spectrum.view(*lines.shape[:2], bins, frames) * response[:, None]
    out = torch.istft(shaped.flatten(0, 1), _SIZE, _HOP, window=window, length=length)
    return out.view_as(lines)
