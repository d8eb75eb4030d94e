"""A file of lines that several processes and threads add to at once."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from audiomask.audio.atomic import AtomicFile, lock_file, write_error
from audiomask.errors import UsageError, why


class LineFile:
    """Lines in a file that others may be writing to as well.

    Lines are appended in one write. Whatever is done to the file is done under a lock of it
    (flock), so that no line of another process is torn or lost. Where files cannot be locked (see
    ``claim_outputs`` in audio/atomic.py) lines are appended all the same; but of two processes
    that rewrite the file at the same moment one loses its lines.

    Args:
        path: the file; made, with the folders above it, when there is none.

    Raises:
        UsageError: (later) the file cannot be read.
        AudioFileError: (later) it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.Lock()

    def clear(self) -> None:
        """Take all lines out."""
        with self._opened() as file:
            file.truncate(0)

    def append(self, lines: Sequence[str]) -> None:
        """Put lines at the end, in place of half a line that a kill left there."""
        data = b"".join(line.encode() + b"\n" for line in lines)
        if not data:
            return
        with self._opened() as file:
            if _ends_torn(file):
                self._replace(file, [*self._lines(file), data.rstrip(b"\n")])
                return
            while data:  # a disk that is full takes a part and says so next time
                data = data[file.write(data) or 0 :]

    def rewrite(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        """Replace all lines by what ``change`` makes of them, all at once."""
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
                        # meanwhile another may have put a new file in its place
                        if _is_at(file, self.path):
                            yield file
                            return
            except OSError as error:
                raise write_error(self.path, error) from error

    def _lines(self, file: FileIO) -> list[bytes]:
        """All whole lines, without their line breaks."""
        try:
            file.seek(0)
            return file.readall().split(b"\n")[:-1]
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {why(error)}") from error

    def _replace(self, file: FileIO, lines: Sequence[bytes]) -> None:
        """Put another file in place of this one."""
        if os.name == "nt":  # where no open file can be replaced, and none is locked
            file.close()
        with AtomicFile(self.path, overwrite=True) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in lines))


def _ends_torn(file: FileIO) -> bool:
    """Whether the file ends with half a line."""
    if not os.fstat(file.fileno()).st_size:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
