"""Atomic output: a file that appears under its name only when it is complete."""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from audiomask.errors import AudioFileError, UsageError, why

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # not on Windows
    flock = None  # type: ignore[assignment]

# Hidden files there may be, and what we hold them by (None: not yet known to be ours). A signal's
# exception can come between any two steps and so slip past the removal of one: what it leaves goes
# when the process ends.
_unfinished: dict[Path, int | None] = {}


class AtomicFile:
    """A hidden file beside the wanted one that takes its place when all went well.

    Use it as a context manager: it gives the path to write to. A clean exit renames it, an
    exception removes it; a kill leaves the old file or none. What a kill leaves of the hidden
    file, the next to write the wanted one takes over. A device or named pipe cannot be replaced
    (and must not be), so there the path itself is written.

    Args:
        path: the wanted file. Missing folders above it are made.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the file exists and may not be replaced, or is a folder.
        AudioFileError: (on entering) the folder cannot be written to.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        # A link stays a link: what it points to is replaced.
        self._target = Path(os.path.realpath(path))
        self._overwrite = overwrite
        self.special = _is_special(self._target)
        self._check()
        name = hashlib.sha256(os.fsencode(self._target.name)).hexdigest()[:16]
        self.temporary = self._target if self.special else self._hidden(name)
        self._lock: int | None = None

    def __enter__(self) -> Path:
        if self.special:
            return self.temporary
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _claim(self.temporary)
            if self._lock is None:  # somebody else is writing the same file
                self.temporary = self._hidden(secrets.token_hex(8))
                _unfinished[self.temporary] = -1
                self.temporary.touch(exist_ok=False)
        except OSError as error:
            _unfinished.pop(self.temporary, None)
            raise write_error(self.path, error) from error
        return self.temporary

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.special:
            return
        done = False
        try:
            if kind is None:
                self._check()
                os.replace(self.temporary, self._target)
                done = True
        except OSError as failed:
            raise write_error(self.path, failed) from failed
        finally:
            if not done:  # else what is there now under that name is somebody else's
                self.temporary.unlink(missing_ok=True)
            _unfinished.pop(self.temporary, None)
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _hidden(self, name: str) -> Path:
        return self._target.with_name(f".audiomask-{name}.part")

    def _check(self) -> None:
        """Refuse to replace what must not be replaced; it may have come while we worked."""
        if self._target.is_dir():
            raise UsageError(f"{self.path}: is a folder, not a file to write")
        if not self._overwrite and not self.special and self._target.exists():
            raise UsageError(f"{self.path}: exists; pass --overwrite to replace it")


@atexit.register
def _remove_unfinished() -> None:
    """Remove what a signal made us leave behind."""
    for path, held in list(_unfinished.items()):
        with suppress(OSError):
            if held is not None or _claim(path) is not None:
                path.unlink(missing_ok=True)


def write_error(name: Path | str, error: OSError) -> AudioFileError:
    """The one-line error for an output that the system would not write."""
    return AudioFileError(f"{name}: cannot be written: {why(error)}")


def _claim(path: Path) -> int | None:
    """Make an empty file for us alone, be it of what a killed process left under that name.

    Returns:
        A descriptor that holds the file as long as it is open and the process lives; None where
        a living process has it, or files cannot be held.
    """
    if flock is None:
        return None
    while True:
        _unfinished.setdefault(path, None)
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            flock(held, LOCK_EX | LOCK_NB)
            # until just now, another may have written it and given it its name
            if os.path.samestat(os.fstat(held), os.stat(path)):
                _unfinished[path] = held
                os.ftruncate(held, 0)
                return held
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(held)
            if _unfinished.get(path) is None:  # a process has it that is not this one
                _unfinished.pop(path, None)
            return None
        except OSError:  # a file system without locks
            path.unlink(missing_ok=True)
            _unfinished.pop(path, None)
            os.close(held)
            return None
        except BaseException:
            os.close(held)
            raise
        os.close(held)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
