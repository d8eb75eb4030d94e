"""Masking: which parts of a window are hidden from the model, and what it gets instead.

BERT's rule (Devlin et al. 2019, section 3.1) for groups of frames: most are blanked, some replaced,
some left as they are, so that the model must judge frames that it sees as well. A block of bands
and noise on all magnitudes are TERA's (Liu et al. 2021, section III-B).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.networks.spectrogram.config import SpectrogramConfig

#: what happens to a frame; the last three are predicted
VISIBLE, BLANKED, REPLACED, UNCHANGED = 0, 1, 2, 3


class _Masked(NamedTuple):
    """A masked window.

    Attributes:
        inputs: what the model gets, [F, bands].
        hidden: bool [F, bands], the parts to be predicted.
    """

    inputs: Tensor
    hidden: Tensor


def sample_fates(frames: int, config: SpectrogramConfig, draw: torch.Generator) -> Tensor:
    """What happens to each frame of a window, int64 [frames].

    Groups are drawn until ``masked_share`` of the frames is hidden. Their lengths are uniform in
    their logarithm, as short and long ones are equally wanted; groups may overlap.

    Args:
        frames: of the window.
        config: of the model.
        draw: decides it.
    """
    fates = torch.zeros(frames, dtype=torch.int64)
    ratio = (config.longest_span + 1) / config.shortest_span
    whole = _fate(config, draw)
    wanted = max(1, round(config.masked_share * frames))
    while int((fates > 0).sum()) < wanted:
        size, place = torch.rand(2, generator=draw).tolist()
        length = min(math.floor(config.shortest_span * ratio**size), config.longest_span, frames)
        start = math.floor(place * (frames - length + 1))
        fates[start : start + length] = whole if config.one_rule else _fate(config, draw)
    return fates


def _fate(config: SpectrogramConfig, draw: torch.Generator) -> int:
    """What happens to a group."""
    chance = float(torch.rand(1, generator=draw))
    if chance < config.blank_share:
        return BLANKED
    return REPLACED if chance < config.blank_share + config.replaced_share else UNCHANGED


def mask(
    features: Tensor, fates: Tensor, config: SpectrogramConfig, draw: torch.Generator
) -> _Masked:
    """A window as the model gets it.

    Args:
        features: magnitudes in [0, 1], [F, bands].
        fates: of the frames, from ``sample_fates``.
        config: of the model.
        draw: decides replacements, bands and noise.
    """
    frames, bands = features.shape
    device, value = features.device, mask_value(config)
    fates = fates.to(device)
    inputs = features
    if float(torch.rand(1, generator=draw)) < config.noise_prob:
        noise = torch.randn(frames, bands, generator=draw).to(device)
        inputs = (inputs + config.noise * noise).clamp(0, 1)
    if config.replacement == "noise":
        noise = torch.rand(frames, bands, generator=draw).to(device)
        other = torch.maximum(noise, features)
    else:
        other = features[torch.randperm(frames, generator=draw).to(device)]
    inputs = torch.where((fates == REPLACED)[:, None], other, inputs)
    inputs = torch.where((fates == BLANKED)[:, None], value, inputs)
    size, place = torch.rand(2, generator=draw).tolist()
    width = math.floor(size * (config.band_block * bands + 1)) if config.band_block else 0
    start = math.floor(place * (bands - width + 1))
    block = torch.zeros(bands, dtype=torch.bool, device=device)
    block[start : start + width] = True
    inputs = torch.where(block, value, inputs)
    return _Masked(inputs, (fates > 0)[:, None] | block)


def mask_value(config: SpectrogramConfig) -> float:
    """The magnitude that blanked frames have."""
    return 1.0 if config.mask_value == "ones" else 0.0
