"""Drafts: rough estimates of stems, as a separator makes them, to train the language model on.

A share of the mixture's spectrum is taken in mel-spaced bands. It is the true share with errors in
its logit: flatter than the truth, taking too much or too little, and wrong in patches. So the
language model depends on no separator's checkpoint, and reads the drafts of any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.spectra import band_weights, from_bands, istft, stft, to_bands

#: seconds of the spectrum's window, of which a hop is a quarter; bands
_WINDOW, _BANDS = 0.093, 96
#: the true logit's factor, from and to; the standard deviation of its offset; the largest standard
#: deviation of its patches; bands and frames of a patch
_SLOPE, _OFFSET, _ROUGHNESS, _PATCH = (0.4, 1.0), 1.0, 2.5, (4, 8)
#: the largest logit
_MOST = 9.0


def rough_estimates(
    mixture: Tensor, stem: Tensor, seeds: Sequence[int], sample_rate: int
) -> Tensor:
    """Rough estimates [N, T] of stems.

    Args:
        mixture: [N, T].
        stem: what is to be estimated, part of the mixture, [N, T].
        seeds: of each row's errors.
        sample_rate: in Hz.
    """
    size = 1 << round(math.log2(_WINDOW * sample_rate))
    hop = size // 4
    length = mixture.shape[-1]
    padded = [F.pad(x, (0, -length % hop)) for x in (mixture, stem, mixture - stem)]
    whole, wanted, others = (stft(x, size, hop) for x in padded)
    nyquist = sample_rate / 2
    weights = band_weights(size // 2 + 1, nyquist, _BANDS, nyquist).to(mixture.device)
    wanted, others = (to_bands(x.abs().square(), weights) + 1e-9 for x in (wanted, others))
    logit = 0.5 * (wanted / others).log()
    for row, seed in zip(logit, seeds, strict=True):
        row.copy_(_roughened(row, seed))
    share = from_bands(logit.clamp(-_MOST, _MOST).sigmoid(), weights)
    return istft(whole * share, size, hop)[..., :length]


def _roughened(logit: Tensor, seed: int) -> Tensor:
    """The logits of a share [bands, F] with errors."""
    generator = torch.Generator().manual_seed(seed)
    bands, frames = logit.shape
    slope, offset, roughness = torch.rand(3, generator=generator).tolist()
    slope = _SLOPE[0] + (_SLOPE[1] - _SLOPE[0]) * slope
    grid = (1, 1, max(bands // _PATCH[0], 1), max(frames // _PATCH[1], 1))
    patches = torch.randn(grid, generator=generator)
    smooth = F.interpolate(patches, (bands, frames), mode="bilinear")[0, 0].to(logit.device)
    shift = _OFFSET * math.sqrt(12) * (offset - 0.5)
    rough: Tensor = slope * logit + shift + _ROUGHNESS * roughness * smooth
    return rough
