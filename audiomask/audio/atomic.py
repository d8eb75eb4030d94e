"""Atomic output: a file that appears under its name only when it is complete."""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from audiomask.errors import AudioFileError, OutputExistsError, UsageError, why

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # not on Windows
    flock = None  # type: ignore[assignment]

# Hidden files there may be, and what we hold them by (None: not yet known to be ours). A signal's
# exception can come between any two steps and so slip past the removal of one: what it leaves goes
# when the process ends.
_unfinished: dict[Path, int | None] = {}
# Hidden files that claim_outputs holds for AtomicFiles to come.
_claimed: dict[Path, int] = {}


class AtomicFile:
    """A hidden file beside the wanted one that takes its place when all went well.

    Use it as a context manager: it gives the path to write to. A clean exit renames it, an
    exception removes it; a kill leaves the old file or none. What a kill leaves of the hidden
    file, the next to write the wanted one takes over. A device or named pipe cannot be replaced
    (and must not be), so there the path itself is written.

    Without ``overwrite`` the file gets its name by a hard link, which fails where the name is
    taken: of two writers the second to finish is refused, at whatever moment. File systems
    without hard links leave a moment between the last look and the renaming.

    Args:
        path: the wanted file. Missing folders above it are made.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError: the file exists and may not be replaced (on leaving, too).
        UsageError: it is a folder.
        AudioFileError: (on entering) the folder cannot be written to.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        # A link stays a link: what it points to is replaced.
        self._target = Path(os.path.realpath(path))
        self._overwrite = overwrite
        self.special = _is_special(self._target)
        self._check()
        self.temporary = self._target if self.special else _hidden(self._target)
        self._lock: int | None = None

    def __enter__(self) -> Path:
        if self.special:
            return self.temporary
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _claimed.pop(self.temporary, None)
            if self._lock is None:
                with suppress(BlockingIOError):  # somebody else is writing the same file
                    self._lock = _claim(self.temporary)
            if self._lock is None:
                self.temporary = _hidden(self._target, secrets.token_hex(8))
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
                if self._overwrite:
                    os.replace(self.temporary, self._target)
                else:
                    self._name_if_free()
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

    def _name_if_free(self) -> None:
        """Give the file its name, unless another has it by now."""
        try:
            os.link(self.temporary, self._target)
        except FileExistsError:
            # NFS may have done it, lost its answer, and asked again
            if not os.path.samefile(self.temporary, self._target):
                raise self._exists() from None
        except OSError:  # a file system without hard links, or a real error, which comes again
            os.replace(self.temporary, self._target)
            return
        self.temporary.unlink()

    def _check(self) -> None:
        """Refuse to replace what must not be replaced; it may have come while we worked."""
        if self._target.is_dir():
            raise UsageError(f"{self.path}: is a folder, not a file to write")
        if not self._overwrite and not self.special and self._target.exists():
            raise self._exists()

    def _exists(self) -> OutputExistsError:
        return OutputExistsError(f"{self.path}: exists; pass --overwrite to replace it")


@contextmanager
def claim_outputs(paths: Iterable[Path]) -> Iterator[bool]:
    """Hold the names of files to be written for this process, all of them or none.

    The hidden file beside each is locked (flock), which a killed process cannot go on doing, and
    AtomicFiles made meanwhile take the locks over. Processes of one machine see each other so,
    and on NFS those of several machines (Linux from 2.6.12 on, with a lock service). Where
    nothing can be locked (Windows; Lustre without ``-o flock``; NFS with ``nolock`` or
    ``local_lock``, between machines) nobody is kept away: two processes may do the same work, and
    the first to finish gives the file its name.

    Args:
        paths: the files; devices and named pipes are left out.

    Yields:
        False where another process is writing one of them, and none is held.

    Raises:
        AudioFileError: a folder cannot be written to.
    """
    held = _claim_all(sorted({Path(os.path.realpath(path)) for path in paths}))
    _claimed.update(held or {})
    try:
        yield held is not None
    finally:
        for path, lock in (held or {}).items():
            if _claimed.pop(path, None) is not None:  # no AtomicFile took it over
                _give_back(path, lock)


def _claim_all(targets: Iterable[Path]) -> dict[Path, int] | None:
    """Hold the hidden files of all targets; None, and none held, where another has one.

    All processes ask in one order, so that of several that want the same files one gets them.
    """
    held: dict[Path, int] = {}
    try:
        for target in targets:
            if _is_special(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            hidden = _hidden(target)
            lock = _claim(hidden)
            if lock is not None:
                held[hidden] = lock
        return held
    except BaseException as error:
        for path, lock in held.items():
            _give_back(path, lock)
        if isinstance(error, BlockingIOError):
            return None
        if isinstance(error, OSError):
            raise write_error(target, error) from error
        raise


def remove_leftover(path: Path) -> None:
    """Remove what a killed process left of a file that is complete by now, if it left anything."""
    hidden = _hidden(Path(os.path.realpath(path)))
    with suppress(OSError):
        if hidden.exists() and (lock := _claim(hidden)) is not None:
            _give_back(hidden, lock)


def _give_back(path: Path, lock: int) -> None:
    """Remove a hidden file that nothing was written to, and let go of it."""
    path.unlink(missing_ok=True)
    _unfinished.pop(path, None)
    os.close(lock)


def _hidden(target: Path, name: str | None = None) -> Path:
    """The hidden file beside a target: the one that all writers know, or one of that name."""
    name = name or hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".audiomask-{name}.part")


def lock_file(descriptor: int) -> None:
    """Wait until no other process holds an open file, and hold it until it is closed.

    Where files cannot be locked it is not held.
    """
    if flock is not None:
        with suppress(OSError):
            flock(descriptor, LOCK_EX)


@atexit.register
def remove_unfinished() -> None:
    """Remove the hidden files of this process, as when it ends: what a signal left behind."""
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
        files cannot be held.

    Raises:
        BlockingIOError: a living process has it, which may be this one.
    """
    if flock is None:
        return None
    while True:
        _unfinished.setdefault(path, None)
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            flock(held, LOCK_EX | LOCK_NB)
            # until just now, another may have written it and given it its name
            mine = os.fstat(held)
            if not os.path.samestat(mine, os.stat(path)):
                pass
            elif mine.st_nlink > 1:  # killed when it had its name: what it holds is in use
                path.unlink()
            else:
                _unfinished[path] = held
                os.ftruncate(held, 0)
                return held
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(held)
            if _unfinished.get(path) is None:  # a process has it that is not this one
                _unfinished.pop(path, None)
            raise
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
