"""Signals: told to end, a command removes its half-written files and says nothing."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType, TracebackType
from typing import NoReturn, Self

from audiomask.runtime.termination import termination_signals

_GRACE = 1.0
"""Seconds to tidy up in: so long a second signal is left unheard."""

_listening: list["Listener"] = []
"""Who listens, the last of them to what comes."""


class Listener:
    """Raises KeyboardInterrupt upon SIGINT, and SystemExit upon what else asks to end.

    These are :func:`audiomask.runtime.termination.termination_signals`. A context manager.

    A second Ctrl-C must not disturb what the first one set off. But an exception raised at any
    moment can get lost, in a finaliser or in an import that catches everything: while it has not
    come out after a second, it is raised again.

    Attributes:
        number: the signal that was heard, if any.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._deaf_until = 0.0

    def __enter__(self) -> Self:
        self._heard = termination_signals()
        for number in self._heard:
            signal.signal(number, self._hear)
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
        # All is done but for Python's own end, in which an exception would only make a noise.
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in self._heard:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = self._hook
        _listening.remove(self)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if monotonic() < self._deaf_until:
            return
        self.number = number
        self._raise()

    def _remind(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            self._raise()

    def _raise(self) -> None:
        self._deaf_until = monotonic() + _GRACE
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
        self.end()

    def end(self) -> NoReturn:
        """Raise what the signal that was heard raises."""
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + (self.number or 0))

    def _lost(self, what: "sys.UnraisableHookArgs") -> None:
        if self.number is None:
            self._hook(what)


def raise_if_signaled() -> None:
    """Raise what a signal raises once one was heard: to call before an error is told.

    What went wrong then may be what became of the first exception on its way: Python makes a
    RuntimeError of what is raised while a class is built (``__set_name__``, before 3.12), and a
    module whose import was cut short lacks some of its names.
    """
    if _listening and _listening[-1].number is not None:
        _listening[-1].end()


@contextmanager
def default_interrupts() -> Iterator[None]:
    """Let Ctrl-C end the process at once, as long as there is nothing to clean up yet."""
    usual = signal.getsignal(signal.SIGINT)
    ours = usual is signal.default_int_handler
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)
    else:
        yield
