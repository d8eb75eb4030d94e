"""Slices: parts of a file as files."""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class Slice(io.RawIOBase):
    """A read-only view of bytes [offset, offset + size) of an open file."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self.file, self.offset, self.size, self.place = file, offset, size, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position; returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        self.place = start + offset
        return self.place

    def tell(self) -> int:
        """The position."""
        return self.place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer, or read to the end; returns the number of bytes."""
        most = max(0, min(len(buffer), self.size - self.place))
        self.file.seek(self.offset + self.place)
        data = self.file.read(most)
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)
