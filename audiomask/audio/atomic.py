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

# Hidden files of this process and their locks (None: not yet known to be ours). A signal can skip
# the removal of one by its exception: these are removed at exit.
_unfinished: dict[Path, int | None] = {}
# Hidden files that claim_outputs has locked for later AtomicFiles.
_claimed: dict[Path, int] = {}


class AtomicFile:
    """A hidden file beside the target that replaces it when it is complete.

    A context manager that gives the path to write to. A clean exit renames the file, an exception
    removes it; a kill leaves the old target or none. The next writer of the target takes over a
    hidden file that a kill left. Devices and named pipes are written directly.

    Without ``overwrite`` the file gets its name by a hard link, which fails where the name is
    taken: of two writers the second to finish is always refused. On file systems without hard
    links there is a race between the last check and the renaming.

    Args:
        path: the target. Missing parent folders are made.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError: the file exists and may not be replaced (on exit, too).
        UsageError: it is a folder.
        AudioFileError: (on entering) the folder cannot be written to.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        # A link stays a link: its target is replaced.
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
                with suppress(BlockingIOError):  # another process is writing the same file
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
            if not done:  # otherwise the name may be another process's by now
                self.temporary.unlink(missing_ok=True)
            _unfinished.pop(self.temporary, None)
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _name_if_free(self) -> None:
        """Give the file its name, unless that is taken by now."""
        try:
            os.link(self.temporary, self._target)
        except FileExistsError:
            # NFS may have made the link, lost the answer, and retried
            if not os.path.samefile(self.temporary, self._target):
                raise self._exists() from None
        except OSError:  # a file system without hard links, or a real error, which recurs
            os.replace(self.temporary, self._target)
            return
        self.temporary.unlink()

    def _check(self) -> None:
        """Refuse to replace what must not be replaced; checked on entry and exit."""
        if self._target.is_dir():
            raise UsageError(f"{self.path}: is a folder, not a file to write")
        if not self._overwrite and not self.special and self._target.exists():
            raise self._exists()

    def _exists(self) -> OutputExistsError:
        return OutputExistsError(f"{self.path}: exists; pass --overwrite to replace it")


@contextmanager
def claim_outputs(paths: Iterable[Path]) -> Iterator[bool]:
    """Lock the names of files to be written for this process, all of them or none.

    The hidden file beside each is locked (flock) until the process ends, and AtomicFiles made
    meanwhile take over the locks. Locks work between processes of one machine, and on NFS between
    machines (Linux from 2.6.12 on, with a lock service). Without locks (Windows; Lustre without
    ``-o flock``; NFS with ``nolock`` or ``local_lock``, between machines) two processes may do the
    same work, and the first to finish gives the file its name.

    Args:
        paths: the files; devices and named pipes are not locked.

    Yields:
        False where another process is writing one of them; none is locked then.

    Raises:
        AudioFileError: a folder cannot be written to.
    """
    locks = _claim_all(sorted({Path(os.path.realpath(path)) for path in paths}))
    _claimed.update(locks or {})
    try:
        yield locks is not None
    finally:
        for path, lock in (locks or {}).items():
            if _claimed.pop(path, None) is not None:  # no AtomicFile took it over
                _release(path, lock)


def _claim_all(targets: Iterable[Path]) -> dict[Path, int] | None:
    """Lock the hidden files of all targets; None, and no lock, where another process has one.

    All processes lock in the same order, so that of several that want the same files one succeeds.
    """
    locks: dict[Path, int] = {}
    try:
        for target in targets:
            if _is_special(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            hidden = _hidden(target)
            lock = _claim(hidden)
            if lock is not None:
                locks[hidden] = lock
        return locks
    except BaseException as error:
        for path, lock in locks.items():
            _release(path, lock)
        if isinstance(error, BlockingIOError):
            return None
        if isinstance(error, OSError):
            raise write_error(target, error) from error
        raise


def remove_leftover(path: Path) -> None:
    """Remove the hidden file that a killed process left beside a complete one, if there is one."""
    hidden = _hidden(Path(os.path.realpath(path)))
    with suppress(OSError):
        if hidden.exists() and (lock := _claim(hidden)) is not None:
            _release(hidden, lock)


def _release(path: Path, lock: int) -> None:
    """Remove an empty hidden file and its lock."""
    path.unlink(missing_ok=True)
    _unfinished.pop(path, None)
    os.close(lock)


def _hidden(target: Path, name: str | None = None) -> Path:
    """The hidden file beside a target, with a name derived from the target's, or ``name``."""
    name = name or hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".audiomask-{name}.part")


def lock_file(descriptor: int) -> None:
    """Lock an open file until it is closed, waiting for other processes.

    Does nothing where files cannot be locked.
    """
    if flock is not None:
        with suppress(OSError):
            flock(descriptor, LOCK_EX)


@atexit.register
def remove_unfinished() -> None:
    """Remove the hidden files that a signal's exception left; called at exit."""
    for path, lock in list(_unfinished.items()):
        with suppress(OSError):
            if lock is not None or _claim(path) is not None:
                path.unlink(missing_ok=True)


def write_error(name: Path | str, error: OSError) -> AudioFileError:
    """The one-line error for an output that the system would not write."""
    return AudioFileError(f"{name}: cannot be written: {why(error)}")


def _claim(path: Path) -> int | None:
    """Create and lock an empty file, or take over the one that a killed process left.

    Returns:
        A descriptor that holds the lock while it is open; None where files cannot be locked.

    Raises:
        BlockingIOError: a living process, maybe this one, has the lock.
    """
    if flock is None:
        return None
    while True:
        _unfinished.setdefault(path, None)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
            # between opening and locking, another process may have renamed it
            mine = os.fstat(descriptor)
            if not os.path.samestat(mine, os.stat(path)):
                pass
            elif mine.st_nlink > 1:  # of a process killed after linking: the content is in use
                path.unlink()
            else:
                _unfinished[path] = descriptor
                os.ftruncate(descriptor, 0)
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(descriptor)
            if _unfinished.get(path) is None:  # the lock is another process's
                _unfinished.pop(path, None)
            raise
        except OSError:  # a file system without locks
            path.unlink(missing_ok=True)
            _unfinished.pop(path, None)
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
