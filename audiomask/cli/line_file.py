"""A file of lines that several processes and threads add to."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from audiomask.audio.atomic import AtomicFile, lock_file, write_error
from audiomask.errors import UsageError, why


class LineFile:
    """A file of lines that other processes may write to as well.

    Lines are appended in one write. The file is locked (flock) while it is changed, so that no
    line of another process is torn or lost. Where files cannot be locked (see ``claim_outputs`` in
    audio/atomic.py) lines are still appended; but of two processes that rewrite the file at the
    same moment one loses its lines.

    Args:
        path: the file; made, with the folders above it, if it does not exist.

    Raises:
        UsageError: (by its methods) the file cannot be read.
        AudioFileError: (by its methods) it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.Lock()

    def clear(self) -> None:
        """Remove all lines."""
        with self._opened() as file:
            file.truncate(0)

    def append(self, lines: Sequence[str]) -> None:
        """Append lines; an incomplete last line, which a kill left, is removed first."""
        data = b"".join(line.encode() + b"\n" for line in lines)
        if not data:
            return
        with self._opened() as file:
            if _ends_torn(file):
                self._replace(file, [*self._lines(file), data.rstrip(b"\n")])
                return
            while data:  # a full disk takes a part of it; the next write fails
                data = data[file.write(data) or 0 :]

    def rewrite(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        """Replace all lines by what ``change`` returns for them, atomically."""
        with self._opened() as file:
            lines = self._lines(file)
            changed = change(lines)
            if changed != lines or _ends_torn(file):
                self._replace(file, changed)

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """The file, locked, to be read and appended to."""
        with self._threads:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                while True:
                    with open(self.path, "a+b", buffering=0) as file:
                        lock_file(file.fileno())
                        # another process may have replaced it before it was locked
                        if _is_at(file, self.path):
                            yield file
                            return
            except OSError as error:
                raise write_error(self.path, error) from error

    def _lines(self, file: FileIO) -> list[bytes]:
        """All complete lines, without their line breaks."""
        try:
            file.seek(0)
            return file.readall().split(b"\n")[:-1]
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {why(error)}") from error

    def _replace(self, file: FileIO, lines: Sequence[bytes]) -> None:
        """Replace the file by one with these lines."""
        if os.name == "nt":  # Windows replaces no open file, and there is no lock to lose
            file.close()
        with AtomicFile(self.path, overwrite=True) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in lines))


def _ends_torn(file: FileIO) -> bool:
    """Whether the file ends with an incomplete line."""
    if not os.fstat(file.fileno()).st_size:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
