"""Signals: when asked to end, a command removes its half-written files and ends silently."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType, TracebackType
from typing import NoReturn, Self

from audiomask.runtime.termination import termination_signals

GRACE = 1.0
"""Seconds for cleaning up, in which further signals are ignored."""

_listening: list["Listener"] = []
"""The listeners that are entered; the last one handles signals."""


class Listener:
    """Raises KeyboardInterrupt upon SIGINT, and SystemExit upon other termination signals.

    These are :func:`audiomask.runtime.termination.termination_signals`. A context manager.

    For a second, further signals are ignored, so that a second Ctrl-C does not interrupt cleaning
    up. An exception raised at any moment can get lost, in a finalizer or in an import that catches
    everything: it is raised again every second until the listener is left.

    Attributes:
        number: the signal that was received, if any.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._deaf_until = 0.0

    def __enter__(self) -> Self:
        self._handled = termination_signals()
        for number in self._handled:
            signal.signal(number, self._handle)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._remind)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._lost
        _listening.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # only Python's own exit is left, in which an exception would only print a message
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = self._hook
        _listening.remove(self)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if monotonic() < self._deaf_until:
            return
        self.number = number
        self._raise()

    def _remind(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            self._raise()

    def _raise(self) -> None:
        self._deaf_until = monotonic() + GRACE
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, GRACE)
        self.end()

    def end(self) -> NoReturn:
        """Raise the exception of the signal that was received."""
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + (self.number or 0))

    def _lost(self, what: "sys.UnraisableHookArgs") -> None:
        if self.number is None:
            self._hook(what)


def raise_if_signaled() -> None:
    """Raise the exception of a signal that was received; to be called before an error is reported.

    The error may be a consequence of the signal's first exception: Python turns an exception in
    ``__set_name__`` into a RuntimeError (before 3.12), and a module whose import was interrupted
    lacks some of its names.
    """
    if _listening and _listening[-1].number is not None:
        _listening[-1].end()


@contextmanager
def default_interrupts() -> Iterator[None]:
    """Let Ctrl-C end the process immediately, as long as there is nothing to clean up."""
    before = signal.getsignal(signal.SIGINT)
    is_default = before is signal.default_int_handler
    if is_default and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
    else:
        yield
