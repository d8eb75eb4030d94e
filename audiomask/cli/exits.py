"""How a command ends: errors as one line on stderr, and exit codes."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from audiomask.errors import AudiomaskError


def guarded(work: Callable[[], int], debug: bool) -> int:
    """What ``work`` returns, or the exit code of the error it ended with."""
    try:
        return work()
    except BrokenPipeError:
        exit_as_sigpipe()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        print_error(error, debug)
        return error.exit_code if isinstance(error, AudiomaskError) else 1


def describe(error: BaseException) -> str:
    """The error as one line for the user."""
    if isinstance(error, AudiomaskError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        text = f"{named}{error.strerror}"
    elif isinstance(error, MemoryError):
        text = "out of memory"
    else:
        text = f"internal error, {type(error).__name__}: {error} (--debug shows where)"
    return " ".join(text.split())


def print_error(error: BaseException, debug: bool) -> None:
    """Print the error's line on stderr, under its traceback when ``debug``."""
    if debug:
        traceback.print_exception(error)
    print(f"audiomask: error: {describe(error)}", file=sys.stderr)


def exit_as_sigpipe() -> NoReturn:
    """End as a program does whose reader has gone: quietly, by SIGPIPE."""
    # Python would complain while it flushes what is left for the closed pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(141)
