"""Slices: parts of a file, read as files of their own."""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class Slice(io.RawIOBase):
    """A part of an open file, as a file: only what is asked for is read."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self.file, self.offset, self.size, self.place = file, offset, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; returns the new place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.size}[whence]
        self.place = start + offset
        return self.place

    def tell(self) -> int:
        """The place."""
        return self.place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read as much as there is, and as the buffer holds."""
        most = max(0, min(len(buffer), self.size - self.place))
        self.file.seek(self.offset + self.place)
        data = self.file.read(most)
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)
