"""Pipes and standard streams; a pipe is spooled to a temporary file, which can seek."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from audiomask.errors import AudioFileError, UsageError, why

STDIN_NAME = "standard input"
STDOUT_NAME = "standard output"
_BLOCK = 1 << 20


def temporary_file(suffix: str = "") -> Path:
    """An empty file in the system's temporary folder (``TMPDIR`` chooses it)."""
    try:
        handle, name = tempfile.mkstemp(prefix="audiomask-", suffix=suffix)
    except OSError as error:
        raise _no_room(error) from error
    os.close(handle)
    return Path(name)


def discard(path: Path) -> None:
    """Remove a temporary file; Windows keeps an open one until it is closed."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if os.name != "nt":
            raise


def spool(stream: BinaryIO, name: str) -> Path:
    """Copy a stream to a temporary file, block by block.

    Args:
        stream: read to its end.
        name: for errors.

    Raises:
        AudioFileError: it is empty, cannot be read, or the temporary folder is full.
    """
    path = temporary_file()
    try:
        with path.open("wb") as out:
            while block := _read(stream, name):
                try:
                    out.write(block)
                except OSError as error:
                    raise _no_room(error) from error
        if path.stat().st_size == 0:
            raise AudioFileError(f"{name}: is empty")
    except BaseException:
        discard(path)
        raise
    return path


def stdin_stream() -> BinaryIO:
    """Standard input as bytes.

    Raises:
        UsageError: it is closed, or a terminal.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError(f"{STDIN_NAME} is closed; pipe a file into it")
    if sys.stdin.isatty():
        raise UsageError(f"{STDIN_NAME} is a terminal; pipe a file into it")
    return sys.stdin.buffer


def stdout_stream(binary: bool = True) -> BinaryIO:
    """Standard output as bytes.

    Args:
        binary: whether the data is not for a terminal.

    Raises:
        UsageError: it is closed, or a terminal and ``binary``.
    """
    if sys.stdout is None or sys.stdout.closed:
        raise UsageError(f"{STDOUT_NAME} is closed; send it to a file or a pipe")
    if binary and sys.stdout.isatty():
        raise UsageError(f"{STDOUT_NAME} is a terminal; send it to a file or a pipe")
    sys.stdout.flush()
    return sys.stdout.buffer


def can_seek(stream: BinaryIO) -> bool:
    """Whether written data of an open stream can be changed by seeking back.

    Not in a file opened for appending (``>>``), although it can seek.
    """
    try:
        handle = stream.fileno()
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
    except (OSError, ValueError):
        return stream.seekable()
    try:
        import fcntl
    except ImportError:  # Windows
        return stream.seekable()
    return not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND


def check_readable(path: Path) -> bool:
    """Whether a path is a pipe that must be spooled first.

    Raises:
        AudioFileError: it is missing, a folder, a device, or may not be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioFileError(f"{path}: is a folder, not a file")
        if stat.S_ISFIFO(mode):
            return True
        if not stat.S_ISREG(mode):
            raise AudioFileError(f"{path}: is a device, not a file")
        with path.open("rb"):
            return False
    except FileNotFoundError as error:
        raise AudioFileError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be read: {why(error)}") from error


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as error:
        raise AudioFileError(f"{name}: cannot be read: {why(error)}") from error


def _no_room(error: OSError) -> AudioFileError:
    folder = tempfile.gettempdir() if tempfile.tempdir else "the temporary folder"
    return AudioFileError(
        f"{folder}: cannot hold the temporary copy: {why(error)}; set TMPDIR to a folder with room"
    )
