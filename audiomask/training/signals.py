"""Signals that ask a run to end."""

from __future__ import annotations

import signal
import sys
from time import monotonic
from types import FrameType
from typing import Any

from audiomask.runtime.termination import termination_signals


class Stop:
    """Records termination signals, so that a run finishes its step and saves. A context manager.

    The signals are those of ``runtime.termination.termination_signals``. A Ctrl-C more than
    ``GRACE`` seconds after the first signal ends the process immediately. An earlier one is the
    same request again: the terminal or batch system sends it to the whole process group, and
    ``torchrun`` sends it as well. Other signals may come repeatedly: a closed terminal sends SIGHUP
    twice, a limit of processor time sends SIGXCPU every second.
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
    """Make a loader's worker ignore signals, as one to the process group must not end it first.

    Its messages bypass the progress bar, whose lock may have been held when the worker was forked.
    """
    for number in termination_signals():
        signal.signal(number, signal.SIG_IGN)
    sys.stderr = sys.__stderr__
