"""Tokens as safetensors: one tensor ``codes`` [channels, levels, frames] and string metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors

from audiomask.errors import TokensError
from audiomask.tokens.content import (
    VERSION,
    Tokens,
    check_version,
    code_type,
    describe,
    from_fields,
)


def write_tensors(tokens: Tokens) -> Iterator[bytes]:
    """The file as its format defines it; the library orders metadata at random on every run."""
    kind = code_type(tokens.codebook_size)
    codes = np.ascontiguousarray(tokens.codes.cpu().numpy(), dtype=np.dtype(kind).newbyteorder("<"))
    about = {
        "__metadata__": {"format": VERSION, **describe(tokens)},
        "codes": {
            "dtype": "I16" if kind is np.int16 else "I32",
            "shape": list(codes.shape),
            "data_offsets": [0, codes.nbytes],
        },
    }
    head = json.dumps(about).encode()
    head += b" " * (-len(head) % 8)
    yield len(head).to_bytes(8, "little") + head
    yield codes.tobytes()


def read_tensors(path: Path) -> Tokens:
    """Read a file whose header and size agree, which the library checks before it allocates.

    Raises:
        TokensError: it is damaged, or holds something else.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            fields = file.metadata() or {}
            check_version(fields)
            if list(file.keys()) != ["codes"]:
                raise TokensError("must hold one tensor, 'codes'")
            part = file.get_slice("codes")
            kind, shape = part.get_dtype(), part.get_shape()
            if kind not in ("I16", "I32") or len(shape) != 3 or 0 in shape:
                raise TokensError(
                    f"codes are {kind} {shape}, not I16 or I32 [channels, levels, frames]"
                )
            # A copy, so that the file can be closed or replaced.
            codes = file.get_tensor("codes").clone()
    except safetensors.SafetensorError as error:
        words = " ".join(str(error).split())
        raise TokensError(f"is not a whole safetensors file ({words[:200]})") from error
    return from_fields(codes, fields)
