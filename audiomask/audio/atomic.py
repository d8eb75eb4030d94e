"""Atomic output: a file that appears under its name only when it is complete."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from types import TracebackType

from audiomask.errors import AudioFileError, UsageError


class AtomicFile:
    """A hidden file beside the wanted one that takes its place when all went well.

    Use it as a context manager: it gives the path to write to. A clean exit renames it, an
    exception removes it; a kill leaves the old file or none. A device or named pipe cannot be
    replaced (and must not be), so there the path itself is written.

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
        self.temporary = (
            self._target
            if self.special
            else self._target.with_name(f".audiomask-{secrets.token_hex(8)}.part")
        )

    def __enter__(self) -> Path:
        if self.special:
            return self.temporary
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self.temporary.touch(exist_ok=False)
        except OSError as error:
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
        try:
            if kind is None:
                self._check()
                os.replace(self.temporary, self._target)
        except OSError as failed:
            raise write_error(self.path, failed) from failed
        finally:
            self.temporary.unlink(missing_ok=True)

    def _check(self) -> None:
        """Refuse to replace what must not be replaced; it may have come while we worked."""
        if self._target.is_dir():
            raise UsageError(f"{self.path}: is a folder, not a file to write")
        if not self._overwrite and not self.special and self._target.exists():
            raise UsageError(f"{self.path}: exists; pass --overwrite to replace it")


def write_error(name: Path | str, error: OSError) -> AudioFileError:
    """The one-line error for an output that the system would not write."""
    reason = error.strerror or str(error) or type(error).__name__
    return AudioFileError(f"{name}: cannot be written: {reason}")


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
