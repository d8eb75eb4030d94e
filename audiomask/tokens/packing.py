"""Packing of codes into bits, as few a code as its codebook needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from audiomask.errors import TokensError

#: bits of the largest code that is packed
_MOST_BITS = 31
# Codes packed at once, as each of their bits takes a byte meanwhile. A multiple of eight, so that
# every block but the last ends with a whole byte.
_BLOCK = 1 << 15


def code_bits(codebook_size: int) -> int:
    """Bits of a code: log2 of the codebook's size, rounded up; at least one."""
    return max((codebook_size - 1).bit_length(), 1)


def packed_size(count: int, bits: int) -> int:
    """Bytes of ``count`` packed codes, the last byte filled up with zeros."""
    return -(-count * bits // 8)


def pack(codes: npt.NDArray[np.integer[Any]], bits: int) -> bytes:
    """Codes as bytes, in C order, the least significant bit of each code first.

    The first code begins at the least significant bit of the first byte; codes follow each other
    without padding. Unused bits of the last byte are zero.

    Args:
        codes: of any shape and integer type, in [0, 2^bits).
        bits: bits a code, 1 to 31.

    Raises:
        ValueError: a code needs more bits, or ``bits`` is out of range.
    """
    _check(bits)
    flat = codes.reshape(-1)
    if flat.size and (flat.min() < 0 or int(flat.max()) >> bits):
        raise ValueError(f"codes from {flat.min()} to {flat.max()} do not fit {bits} bits")
    blocks = []
    for start in range(0, flat.size, _BLOCK):
        words = flat[start : start + _BLOCK].astype("<u4").view(np.uint8).reshape(-1, 4)
        single = np.unpackbits(words, axis=1, count=bits, bitorder="little")
        blocks.append(np.packbits(single, bitorder="little").tobytes())
    return b"".join(blocks)


def unpack(packed: bytes, bits: int, count: int) -> npt.NDArray[np.int32]:
    """Undo :func:`pack`; returns the codes [count].

    Raises:
        TokensError: there are too few or too many bytes, or unused bits are not zero.
        ValueError: ``bits`` is out of range.
    """
    _check(bits)
    if len(packed) != packed_size(count, bits):
        raise TokensError(
            f"{count} codes of {bits} bits take {packed_size(count, bits)} bytes, not {len(packed)}"
        )
    used = count * bits % 8
    if used and packed[-1] >> used:
        raise TokensError("the bits after the last code are not zero; the file is damaged")
    source = np.frombuffer(packed, dtype=np.uint8)
    codes = np.empty(count, dtype=np.int32)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        part = source[start * bits // 8 : packed_size(stop, bits)]
        single = np.unpackbits(part, count=(stop - start) * bits, bitorder="little")
        words = np.zeros((stop - start, 32), dtype=np.uint8)
        words[:, :bits] = single.reshape(-1, bits)
        codes[start:stop] = np.packbits(words, bitorder="little").view("<u4")
    return codes


def _check(bits: int) -> None:
    if not 1 <= bits <= _MOST_BITS:
        raise ValueError(f"codes have 1 to {_MOST_BITS} bits, not {bits}")
