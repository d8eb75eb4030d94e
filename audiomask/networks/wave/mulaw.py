"""The mu-law code of 256 levels: companding, and the cells of sample values that levels stand for.

One definition of level for everything that measures or trains: a recording's peak is 1, and nothing
is added, so that silence is the level 128 whatever the recording.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: number of levels, and the constant of the companding curve
LEVELS, _MU = 256, 255
#: the level of a sample that is 0
SILENCE = 128
#: about half of the smallest step between levels: nothing smaller is heard of samples
QUIETEST = 8e-5
#: least peak that is brought to full scale, as one below it is that of silence
SILENT = 1e-4
#: beyond any sample, for the outer edges of the outermost cells
_FAR = 1e3


def full_scale(audio: Tensor) -> Tensor:
    """The peak of each sound [..., T], [..., 1], by which it is divided to be at full scale."""
    return audio.abs().amax(dim=-1, keepdim=True).clamp_min(SILENT)


def encode(audio: Tensor) -> Tensor:
    """Levels, int64 in [0, 255], of samples in [-1, 1], which are clipped to that."""
    x = audio.clamp(-1, 1)
    companded = x.sign() * torch.log1p(_MU * x.abs()) / math.log1p(_MU)
    return ((companded + 1) / 2 * (LEVELS - 1) + 0.5).floor().long()


def decode(levels: Tensor) -> Tensor:
    """The samples in [-1, 1] that levels stand for, float32."""
    values: Tensor = _expand(torch.arange(LEVELS, device=levels.device).float())[levels]
    return values


def cells(levels: Tensor) -> tuple[Tensor, Tensor]:
    """The lower and the upper edges of the cells of samples that have these levels, float32.

    The outermost cells reach beyond all samples, so that the cells share out the whole line.
    """
    places = torch.arange(LEVELS + 1, device=levels.device).float() - 0.5
    edges = _expand(places)
    edges[0], edges[-1] = -_FAR, _FAR
    return edges[levels], edges[levels + 1]


def step_at(samples: Tensor) -> Tensor:
    """About how far apart levels are at these samples, which may lie beyond [-1, 1]."""
    return (samples.abs().clamp_max(1) + 1 / _MU) * (2 * math.log1p(_MU) / (LEVELS - 1))


def _expand(levels: Tensor) -> Tensor:
    """The samples at places on the scale of levels, which may lie between two levels."""
    companded = levels / (LEVELS - 1) * 2 - 1
    return companded.sign() * torch.expm1(companded.abs() * math.log1p(_MU)) / _MU
