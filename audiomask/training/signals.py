"""Signals: how a run is told to end, and who listens."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any


class Stop:
    """Notes SIGTERM and SIGINT, so that the step under way ends and is saved.

    The second of them ends the process at once, as it would have without this.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._before[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def leave_signals(worker: int) -> None:
    """Leave signals to the main process: one to the whole group must not end a worker first.

    Leave the progress bar to it as well: what a forked worker has to say goes past the bar, whose
    lock may have been held when the worker began.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.stderr = sys.__stderr__
