"""Sample formats, and rounding of samples to them.

A *subtype* is libsndfile's name for how one sample is stored (``PCM_16``, ``FLOAT``, ``VORBIS``).
Integer subtypes hold ``n / 2**(bits - 1)`` for integers n. Their samples are read and written as
left-justified int32, without loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: bits a sample of every integer subtype
BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ALAC_32": 32,
}
FLOATING = ("FLOAT", "DOUBLE")

Raw = npt.NDArray[Any]
_Int32 = npt.NDArray[np.int32]


def is_lossy(subtype: str) -> bool:
    """Whether the subtype is a lossy coding."""
    return subtype not in BITS and subtype not in FLOATING


def quantize(audio: Tensor, subtype: str) -> Tensor:
    """Round samples to values that ``subtype`` can store.

    Args:
        audio: float Tensor of any shape, full scale at 1.
        subtype: libsndfile's name; lossy ones and DOUBLE leave the samples as they are.

    Returns:
        A tensor of the same shape and type. Integer subtypes round half to even and clip; NaN
        becomes 0.
    """
    if subtype == "FLOAT":
        return audio.to(torch.float32).to(audio.dtype)
    if subtype not in BITS:
        return audio
    scale = 2.0 ** (BITS[subtype] - 1)
    return (_whole(audio, BITS[subtype]) / scale).to(audio.dtype)


def to_integers(audio: Tensor, subtype: str) -> _Int32:
    """Samples as the left-justified integers that libsndfile writes.

    Args:
        audio: float Tensor [C, T], full scale at 1.
        subtype: an integer subtype.

    Returns:
        int32 array [T, C]; writing ``quantize(audio)`` gives the same integers.

    Raises:
        ValueError: the subtype does not store integers.
    """
    if subtype not in BITS:
        raise ValueError(f"{subtype} does not store integers")
    bits = BITS[subtype]
    left = _whole(audio, bits).to(torch.int64) << (32 - bits)
    return np.ascontiguousarray(left.to(torch.int32).T.cpu().numpy())


def requantize(raw: _Int32, subtype: str) -> _Int32:
    """Round left-justified integers to a (perhaps narrower) integer subtype, half to even.

    Samples that the subtype can store stay unchanged.
    """
    shift = 32 - BITS[subtype]
    if shift == 0 or not np.any(raw & np.int32((1 << shift) - 1)):
        return raw
    wide = raw.astype(np.int64)
    whole, rest = wide >> shift, wide & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    whole += (rest > half) | ((rest == half) & (whole & 1 == 1))
    np.minimum(whole, 2 ** (BITS[subtype] - 1) - 1, out=whole)
    return (whole << shift).astype(np.int32)


def to_floats(raw: Raw) -> Raw:
    """Left-justified integers as float64 of full scale 1; floating samples unchanged."""
    return raw / 2.0**31 if raw.dtype == np.int32 else raw


def count_clipped(audio: Tensor, subtype: str) -> int:
    """Number of samples beyond full scale, which ``subtype`` clips.

    Exactly 1 counts as full scale, although the largest integer is one step below it.
    """
    if subtype in FLOATING:
        return 0
    return int((audio.abs() > 1).sum())


def _whole(audio: Tensor, bits: int) -> Tensor:
    """Samples as integers within the range of ``bits``, in float64."""
    scale = 2.0 ** (bits - 1)
    exact = torch.nan_to_num(audio.double(), nan=0.0, posinf=torch.inf, neginf=-torch.inf)
    return exact.mul_(scale).round_().clamp_(-scale, scale - 1)
