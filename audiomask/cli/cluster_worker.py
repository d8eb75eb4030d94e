"""A worker of ``--ray``: does jobs, and tells the command what happens meanwhile."""

import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audiomask
from audiomask.cli.addresses import use_stand_ins
from audiomask.cli.console import Display, Meter
from audiomask.cli.gathering import send_by
from audiomask.cli.outputs import Job
from audiomask.cli.task import Task
from audiomask.cli.workers import Stopped
from audiomask.errors import ClusterError, why

#: seconds that a call of ``listen`` waits for news at most
_LISTENING = 0.5

Event = tuple[Any, ...]
"""The name of an event, and what belongs to it."""


class Outbox:
    """Events on their way to the command, which takes them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._told = self._taken = self._applied = 0
        self._ended = -1

    def tell(self, *event: Any) -> int:
        """Add an event; returns its number."""
        with self._changed:
            self._events.append(event)
            self._told += 1
            self._changed.notify_all()
            return self._told

    def wait(self, number: int, check: Callable[[], None]) -> None:
        """Wait until the command has applied an event; ``check`` may raise meanwhile."""
        with self._changed:
            while self._applied < number:
                check()
                self._changed.wait(_LISTENING)

    def end(self, serial: int) -> None:
        """Say that a job has ended."""
        with self._changed:
            self._ended = serial
            self._changed.notify_all()

    def take(self, serial: int) -> tuple[list[Event], bool]:
        """The new events, and whether more will come from a job; earlier ones were applied."""
        with self._changed:
            self._applied = self._taken
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._events or self._ended >= serial, _LISTENING)
            events, self._events = self._events, []
            self._taken += len(events)
            return events, self._ended < serial


class Worker:
    """Does one job after another; its methods are called in several threads."""

    def __init__(self) -> None:
        self._outbox = Outbox()
        self._current = self._stopped = -1

    def ready(
        self,
        version: str,
        task: Task,
        folder: str,
        needed: bool,
        stand_ins: Path | None,
        level: int,
    ) -> None:
        """Prepare for jobs.

        Args:
            version: audiomask's, where the command runs.
            task: done with each job.
            folder: the current one of the command, which relative paths begin in.
            needed: whether there are relative paths of inputs or outputs.
            stand_ins: the folder of the command's stand-ins; None if there are none.
            level: of messages.

        Raises:
            ClusterError: this machine is not like that of the command.
        """
        if audiomask.__version__ != version:
            raise ClusterError(
                f"it has audiomask {audiomask.__version__}, and this machine {version}: "
                "install the same"
            )
        try:
            os.chdir(folder)
        except OSError as error:
            if needed:
                raise ClusterError(
                    f"it cannot enter {folder} ({why(error)}): share the folder, or use addresses"
                ) from error
        if stand_ins is not None:
            use_stand_ins(stand_ins)
        from audiomask.runtime.device import thread_count_initializer

        self._task, self._stand_ins = task, stand_ins
        self._begin_thread = thread_count_initializer()
        send_by(self._send)
        self._send_messages(level)

    def _send_messages(self, level: int) -> None:
        logger = logging.getLogger("audiomask")
        logger.handlers[:] = [_Teller(self._outbox)]
        logger.setLevel(level)
        logger.propagate = False

    def do(self, serial: int, job: Job, again: bool) -> Job | None:
        """Do a job (:class:`audiomask.cli.task.Task`).

        Args:
            serial: its number, which grows with each call.
            job: to be done.
            again: whether a worker died that had it.
        """
        self._current = serial
        self._begin_thread()
        try:
            return self._task(job, FarMeter(self._outbox, self._check), again)
        except Stopped:
            return None
        finally:
            self._outbox.end(serial)

    def listen(self, serial: int) -> tuple[list[Event], bool]:
        """What has happened since the last call, and whether the job goes on."""
        return self._outbox.take(serial)

    def stop(self, serial: int) -> None:
        """End the work on a job at its next check."""
        self._stopped = serial

    def leave(self) -> None:
        """Remove temporary files."""
        if self._stand_ins is not None:
            shutil.rmtree(self._stand_ins, ignore_errors=True)

    def _check(self) -> None:
        if self._stopped >= self._current:
            raise Stopped

    def _send(self, number: int, found: tuple[Any, ...]) -> None:
        """Have something gathered, before the work goes on."""
        self._outbox.wait(self._outbox.tell("gather", number, found), self._check)


class FarMeter(Meter):
    """Tells the command how far a job is."""

    def __init__(self, outbox: Outbox, check: Callable[[], None]) -> None:
        super().__init__(Display(quiet=True), check)
        self._outbox = outbox

    def start(self, label: str, seconds: float) -> None:
        """Begin a recording, ``seconds`` long."""
        self.check()
        self._outbox.tell("start", label, seconds)

    def advance(self, seconds: float) -> None:
        """Advance by ``seconds``."""
        self.check()
        self._outbox.tell("advance", seconds)


class _Teller(logging.Handler):
    """Tells the command messages."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__()
        self._outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        self._outbox.tell("log", record.name, record.levelno, record.getMessage())
