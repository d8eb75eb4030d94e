"""Codes alone as a NumPy array (``.npy``), for other programs to read."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np

from audiomask.tokens.content import Tokens


def write_array(tokens: Tokens) -> Iterator[bytes]:
    """The codes [channels, levels, frames] as ``numpy.save`` writes them, without pickle.

    They are int16 for a codebook of up to 32,768 codes, uint16 up to 65,536, int32 above; little
    endian, in C order. Sample rate, length and fingerprint are not in the file.
    """
    size = tokens.codebook_size
    kind = "<i2" if size <= 1 << 15 else "<u2" if size <= 1 << 16 else "<i4"
    codes = np.ascontiguousarray(tokens.codes.cpu().numpy().astype(kind))
    head = BytesIO()
    about = {"descr": kind, "fortran_order": False, "shape": codes.shape}
    np.lib.format.write_array_header_1_0(head, about)
    yield head.getvalue()
    yield codes.tobytes()
