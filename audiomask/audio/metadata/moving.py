"""Insertion and removal of bytes within a file, in place."""

from __future__ import annotations

import os
from typing import BinaryIO

BLOCK = 1 << 20


def make_room(file: BinaryIO, position: int, shift: int) -> None:
    """Move everything from ``position`` to the end by ``shift`` bytes, block by block.

    Args:
        file: open for reading and writing.
        position: the first byte to move.
        shift: how far, towards the end; negative towards the start.
    """
    end = file.seek(0, os.SEEK_END)
    starts = range(position, end, BLOCK)
    for start in reversed(starts) if shift > 0 else starts:
        file.seek(start)
        block = file.read(min(BLOCK, end - start))
        file.seek(start + shift)
        file.write(block)
    if shift < 0:
        file.truncate(end + shift)
