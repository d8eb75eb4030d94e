"""A file of lines that several processes and threads add to at once."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from audiomask.audio.atomic import AtomicFile, lock_file, unlock_file, write_error
from audiomask.errors import UsageError, why


class LineFile:
    """Lines that belong to keys, in a file that others may be writing to as well.

    What is done to the file is done under a lock of it (flock), from a fresh look at what is in
    it: so no line of another process is torn or lost. Where files cannot be locked (see
    ``claim_outputs`` in audio/atomic.py) the lines still come in one write each, at the end of
    the file; but of two processes that rewrite it at the same moment one loses its lines.

    Args:
        path: the file; made, with the folders above it, when there is none.
        key_of: the key of a line without its line break, or None where it is none of ours.
        what: what such a file is, for the error about one that is not.

    Raises:
        UsageError: (later) a line is none of ours, or the file cannot be read.
        AudioFileError: (later) it cannot be written.
    """

    def __init__(self, path: Path, key_of: Callable[[bytes], str | None], what: str) -> None:
        self.path, self._key_of, self._what = path, key_of, what
        self._threads = threading.Lock()
        # open while it is known what is in it: a file that is gone gives its number to another
        self._file: FileIO | None = None
        # how much of it has been read, how many lines, and their keys
        self._read, self._count = 0, 0
        self._keys: set[str] = set()

    def clear(self) -> None:
        """Take all lines out."""
        with self._opened() as file:
            file.truncate(0)

    def replace(self, key: str, lines: Sequence[str]) -> None:
        """Put these lines at the end, in place of those of the key."""
        data = b"".join(line.encode() + b"\n" for line in lines)
        with self._opened() as file:
            torn = self._catch_up(file)
            if torn or key in self._keys:
                kept = [line for line in self._lines(file) if self._key_of(line) != key]
                self._rewrite([*kept, data])
            elif data:
                _append(file, data)

    def keep(self, wanted: Callable[[bytes, str], bool]) -> None:
        """Take out the lines that are not wanted, by line and key; and one that a kill tore."""
        with self._opened() as file:
            torn = self._catch_up(file)
            lines = self._lines(file)
            kept = [line for line in lines if wanted(line, self._key_of(line) or "")]
            if torn or len(kept) < len(lines):
                self._rewrite(kept)

    def sort(self, rank: Callable[[str], int]) -> None:
        """Put the lines in the order of their keys' ranks; those of one rank stay as they are."""
        with self._opened() as file:
            torn = self._catch_up(file)
            lines = self._lines(file)
            ordered = sorted(lines, key=lambda line: rank(self._key_of(line) or ""))
            if torn or ordered != lines:
                self._rewrite(ordered)

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """The file, held, to be read and appended to."""
        with self._threads:
            try:
                with self._held() as file:
                    yield file
            except OSError as error:
                raise write_error(self.path, error) from error

    @contextmanager
    def _held(self) -> Iterator[FileIO]:
        while True:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (until close)
            file = self._file
            lock_file(file.fileno())
            # meanwhile another may have put a new file in its place
            if _is_at(file, self.path):
                break
            self._forget()
        try:
            yield file
        finally:
            if not file.closed:
                unlock_file(file.fileno())

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self._threads:
            self._forget()

    def _forget(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._read, self._count = None, 0, 0
        self._keys.clear()

    def _catch_up(self, file: FileIO) -> bool:
        """Read what was added since the last look; tells whether its end is half a line."""
        if os.fstat(file.fileno()).st_size < self._read:  # another run began it anew
            self._read, self._count = 0, 0
            self._keys.clear()
        *lines, rest = self._data(file, self._read).split(b"\n")
        for line in lines:
            self._count += 1
            key = self._key_of(line)
            if key is None:
                raise UsageError(
                    f"{self.path}: line {self._count} is none of {self._what}: choose another name"
                )
            self._keys.add(key)
            self._read += len(line) + 1
        return bool(rest)

    def _lines(self, file: FileIO) -> list[bytes]:
        return self._data(file, 0).split(b"\n")[:-1]

    def _data(self, file: FileIO, start: int) -> bytes:
        try:
            file.seek(start)
            return file.readall()
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {why(error)}") from error

    def _rewrite(self, lines: Sequence[bytes]) -> None:
        """Put another file in place of this one, all at once."""
        if os.name == "nt":  # where no open file can be replaced, and none is locked
            self._forget()
        with AtomicFile(self.path, overwrite=True) as temporary:
            temporary.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in lines if line))


def _append(file: FileIO, data: bytes) -> None:
    """Write at the end, and all of it: a disk that is full takes a part and says so next time."""
    while data:
        data = data[file.write(data) or 0 :]


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
