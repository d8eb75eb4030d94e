"""Signals: how a run is told to end, and who listens."""

from __future__ import annotations

import signal
import sys
from time import monotonic
from types import FrameType
from typing import Any

from audiomask.runtime.termination import termination_signals


class Stop:
    """Notes what asks the process to end, so that the step under way ends and is saved.

    The signals are those of ``runtime.termination.termination_signals``. A Ctrl-C that comes more
    than ``GRACE`` seconds after the first signal ends the process at once, as it would have
    without this. What comes earlier is the same request on another way: ``torchrun`` passes on
    what the terminal or the batch system has sent to the whole group. Other signals never change
    their mind: a closed terminal sends SIGHUP twice, a limit of processor time every second.
    """

    GRACE = 1.0

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}
        self._patient_until = 0.0

    def __enter__(self) -> Stop:
        for number in termination_signals():
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self._patient_until = monotonic() + self.GRACE
        self.asked = True
        if number == signal.SIGINT and monotonic() > self._patient_until:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def leave_signals(worker: int) -> None:
    """Leave signals to the main process: one to the whole group must not end a worker first.

    Leave the progress bar to it as well: what a forked worker has to say goes past the bar, whose
    lock may have been held when the worker began.
    """
    for number in termination_signals():
        signal.signal(number, signal.SIG_IGN)
    sys.stderr = sys.__stderr__
