"""The end of a command: errors as one line on stderr, and exit codes."""

import os
import signal
import sys
import traceback
from typing import NoReturn

from audiomask.audio.atomic import remove_unfinished
from audiomask.cli.addresses import name_addresses
from audiomask.cli.signals import raise_if_signaled
from audiomask.cli.workers import any_left_behind
from audiomask.errors import AudiomaskError
from audiomask.runtime.console import printable


def status_of(error: BaseException, debug: bool) -> int:
    """Print the error that a command ended with, and return its exit status."""
    if isinstance(error, BrokenPipeError):
        exit_as_sigpipe()
    if isinstance(error, KeyboardInterrupt):
        return 130
    raise_if_signaled()
    print_error(error, debug)
    return error.exit_code if isinstance(error, AudiomaskError) else 1


def describe(error: BaseException) -> str:
    """The error as one line for the user."""
    return name_addresses(_describe(error))


def _describe(error: BaseException) -> str:
    if isinstance(error, AudiomaskError):
        return printable(str(error))
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        return printable(f"{named}{error.strerror}")
    if isinstance(error, MemoryError):
        return "out of memory"
    text = f"internal error, {type(error).__name__}: {error} (--debug shows where)"
    return printable(" ".join(text.split()))


def print_error(error: BaseException, debug: bool) -> None:
    """Print the error's line on stderr, under its traceback when ``debug``."""
    if debug:
        traceback.print_exception(error)
    sys.stderr.write(f"audiomask: error: {describe(error)}\n")


def leave(status: int) -> NoReturn:
    """Exit the process, without waiting for a worker that cannot be stopped."""
    if any_left_behind():
        remove_unfinished()
        os._exit(status)
    sys.exit(status)


def exit_as_sigpipe() -> NoReturn:
    """End as programs do whose reader has closed the pipe: silently, by SIGPIPE."""
    discard_stdout()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(141)


def discard_stdout() -> None:
    """Discard what standard output could not take: Python would report it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def separate_stderr() -> None:
    """Write messages through a file descriptor of their own.

    Descriptor 2, where decoders write their messages, can then be redirected to the null device
    (see ``audio.quiet``).
    """
    try:
        if sys.stderr.fileno() != 2:
            return
        sys.stderr.flush()
        own = open(  # noqa: SIM115 (for the rest of the process)
            os.dup(2),
            "w",
            encoding=sys.stderr.encoding,
            errors=sys.stderr.errors,
            buffering=1,
        )
    except (OSError, ValueError):  # a replacement without a descriptor
        return
    sys.stderr = sys.__stderr__ = own  # type: ignore[misc]


def discard_unsent_stderr() -> None:
    """Discard messages that standard error can no longer take, as when its terminal was closed.

    Python would try to write them again at exit, fail, and change the exit status.
    """
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def open_missing_streams() -> None:
    """Open the null device for every standard stream that is closed.

    Otherwise the next file opened would get its descriptor, and libraries would write their
    messages into it. ``print`` uses standard output where stderr is missing: messages would be
    mixed with the data.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the rest of the process)
