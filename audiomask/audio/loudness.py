"""How loud frequencies are: the weighting of ITU-R BS.1770."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: numerators and denominators of its two filters: a shelf for the head, and a high pass
_FILTERS = (
    (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    ),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
#: the sample rate they are for
_RATE = 48000


def loudness_weights(size: int, sample_rate: int) -> Tensor:
    """Weights of the power in a spectrum's bins, whose weighted sum tells how loud it is.

    Args:
        size: samples that were transformed.
        sample_rate: of them, a second.

    Returns:
        [size // 2 + 1], near 1 at 1 kHz.
    """
    hertz = torch.arange(size // 2 + 1, dtype=torch.float64) * sample_rate / size
    angle = 2 * math.pi * hertz.clamp_max(_RATE / 2) / _RATE
    delays = torch.exp(-1j * angle[:, None] * torch.arange(3))
    weights = torch.ones_like(angle)
    for above, below in _FILTERS:
        gains = [(delays * torch.tensor(one, dtype=torch.complex128)).sum(-1).abs()
                 for one in (above, below)]  # fmt: skip
        weights = weights * (gains[0] / gains[1]).square()
    return weights.float()
