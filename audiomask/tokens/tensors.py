"""Token files as safetensors: one tensor of packed codes, uint8 [bytes], and text metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import safetensors
import torch

from audiomask.errors import TokensError
from audiomask.tokens.content import (
    FIELDS,
    SHAPE,
    VERSION,
    Tokens,
    check_version,
    code_type,
    describe,
    from_fields,
    number,
)
from audiomask.tokens.packing import code_bits, pack, packed_size, unpack


def write_tensors(tokens: Tokens) -> Iterator[bytes]:
    """The bytes of a file. The safetensors library orders metadata differently on every run."""
    packed = pack(tokens.codes.cpu().numpy(), code_bits(tokens.codebook_size))
    about = {
        "__metadata__": {"format": VERSION, **describe(tokens)},
        "codes": {"dtype": "U8", "shape": [len(packed)], "data_offsets": [0, len(packed)]},
    }
    head = json.dumps(about).encode()
    head += b" " * (-len(head) % 8)
    yield len(head).to_bytes(8, "little") + head
    yield packed


def read_tensors(path: Path) -> Tokens:
    """Read a token file; sizes are checked before anything is allocated.

    The safetensors library checks that the file has the tensor that its header describes. That its
    size is that of the codes described by the metadata is checked here.

    Raises:
        TokensError: it is damaged, or holds something else.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            fields = file.metadata() or {}
            check_version(fields)
            if list(file.keys()) != ["codes"]:
                raise TokensError("must hold one tensor, 'codes'")
            shape = [number(fields, name, largest) for name, largest in SHAPE.items()]
            size = number(fields, "codebook_size", FIELDS["codebook_size"])
            count, bits = math.prod(shape), code_bits(size)
            part = file.get_slice("codes")
            found = f"{part.get_dtype()} {part.get_shape()}"
            expected = f"U8 [{packed_size(count, bits)}]"
            if found != expected:
                sizes = ", ".join(f"{fields[name]} {name}" for name in SHAPE)
                raise TokensError(f"codes are {found[:40]}; {sizes} of {bits} bits are {expected}")
            packed = file.get_tensor("codes").tobytes()
    except safetensors.SafetensorError as error:
        words = " ".join(str(error).split())
        raise TokensError(f"is not a whole safetensors file ({words[:200]})") from error
    codes = unpack(packed, bits, count).reshape(shape).astype(code_type(size), copy=False)
    return from_fields(torch.from_numpy(codes), fields)
