"""Matrices as 8-bit integers: half the size of half precision, for checkpoints that travel.

A large tensor [N, …] becomes two: ``<name>.int8`` [N, …], and ``<name>.scale`` [N], one scale a
row. All other tensors stay unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.errors import CheckpointError

_VALUES, _SCALE = ".int8", ".scale"
#: elements of the smallest tensor that is stored in 8 bits
LEAST = 1 << 14


def pack(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with the large floating point matrices in 8 bits, and all others unchanged."""
    packed: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if not value.is_floating_point() or value.dim() < 2 or value.numel() < LEAST:
            packed[name] = value
            continue
        rows = value.detach().float().flatten(1)
        scale = (rows.abs().amax(dim=1) / 127).clamp_min(torch.finfo(torch.float).tiny)
        steps = (rows / scale[:, None]).round()
        packed[name + _VALUES] = steps.to(torch.int8).view(value.shape)
        packed[name + _SCALE] = scale
    return packed


def unpack(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo ``pack``, to within half a step of each row's scale; floats in single precision.

    Raises:
        CheckpointError: integers without a fitting scale, or a scale without integers.
    """
    plain: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) + _VALUES in tensors:
            continue
        if not name.endswith(_VALUES):
            plain[name] = value
            continue
        own = name.removesuffix(_VALUES)
        scale = tensors.get(own + _SCALE)
        fits = scale is not None and value.dim() > 1 and scale.shape == value.shape[:1]
        if scale is None or not fits or value.dtype != torch.int8 or not scale.is_floating_point():
            raise CheckpointError(f"tensor '{name}' and its scale do not belong together")
        shape = (-1, *(1 for _ in value.shape[1:]))
        plain[own] = value.float() * scale.float().view(shape)
    return plain
