"""Token files as text: ``#`` header lines, then one line a frame, channel 0's levels first."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch

from audiomask.errors import TokensError
from audiomask.tokens.content import (
    FIELDS,
    HEADER_FIELDS,
    KIND_FIELD,
    NAME,
    SHAPE,
    VERSION,
    Tokens,
    check_version,
    code_type,
    describe,
    from_fields,
    number,
)

#: the first bytes of every file
MAGIC = f"# {NAME} ".encode()
_LONGEST_LINE = 4096
_CODE_LENGTH = 11  # ten digits and a space
_BLOCK_FRAMES = 4096


def write_text(tokens: Tokens) -> Iterator[bytes]:
    """The bytes of a file, block by block."""
    header = [f"# {field}: {value}" for field, value in describe(tokens).items()]
    lines = [f"# {VERSION}", *header, ""]
    yield "\n".join(lines).encode()
    for start in range(0, tokens.frames, _BLOCK_FRAMES):
        block = tokens.codes[:, :, start : start + _BLOCK_FRAMES]
        rows = block.permute(2, 0, 1).flatten(1).tolist()
        yield "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()


def read_text(stream: BinaryIO) -> Tokens:
    """Parse line by line; memory grows with the codes read, not with what the header says.

    Raises:
        TokensError: it names the line or field.
    """
    fields: dict[str, str] = {}
    codes = array("i")
    width, size, count, limit = 0, 0, 0, _LONGEST_LINE
    while line := stream.readline(limit):
        count += 1
        where = f"line {count}"
        if not line.endswith(b"\n"):
            raise TokensError(f"{where}: is {'too long' if len(line) == limit else 'cut short'}")
        if line.startswith(b"#"):
            _read_header(line, where, fields)
            if fields.keys() >= {"channels", "levels"}:
                limit = max(limit, _CODE_LENGTH * math.prod(_columns(fields)) + 2)
            continue
        if not width:
            check_version(fields)
            width = math.prod(_columns(fields))
            size = number(fields, "codebook_size", FIELDS["codebook_size"])
        _read_frame(line.split(), where, width, size, codes)
    if not width:
        raise TokensError(f"line {count}: ends without codes")
    frames = len(codes) // width
    if "frames" in fields and number(fields, "frames", SHAPE["frames"]) != frames:
        raise TokensError(f"has {frames} frames, not the {fields['frames']} its header tells")
    table = np.frombuffer(codes, dtype=np.intc).reshape(frames, *_columns(fields))
    table = table.transpose(1, 2, 0)
    return from_fields(torch.from_numpy(np.ascontiguousarray(table, dtype=code_type(size))), fields)


def _columns(fields: dict[str, str]) -> tuple[int, int]:
    """Channels and levels: their product is the number of codes a line."""
    channels, levels = (number(fields, name, SHAPE[name]) for name in ("channels", "levels"))
    return channels, levels


def _read_frame(row: list[bytes], where: str, width: int, size: int, codes: array[int]) -> None:
    if len(row) != width:
        raise TokensError(f"{where}: has {len(row)} codes; a frame has {width}")
    for code in row:
        if not code.isdigit() or len(code) > 10 or int(code) >= size:
            shown = code[:20].decode("ascii", "replace")
            raise TokensError(f"{where}: {shown!r} is not a code below {size}")
    codes.extend(map(int, row))


def _read_header(line: bytes, where: str, fields: dict[str, str]) -> None:
    """Add ``# field: value`` to the fields; any other ``#`` line is a comment."""
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise TokensError(f"{where}: is not text") from error
    field, colon, value = text[1:].partition(":")
    field = field.strip()
    if text.startswith(f"# {NAME} "):
        field, value = "format", text[2:]
    elif not colon or field not in (*HEADER_FIELDS, KIND_FIELD):
        return
    if field in fields:
        raise TokensError(f"{where}: tells {field} again")
    fields[field] = value.strip()
