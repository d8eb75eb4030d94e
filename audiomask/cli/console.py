"""Messages on stderr, and progress bars where that is a terminal that redraws lines."""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from audiomask.cli.addresses import name_addresses
from audiomask.runtime.console import is_live, printable, progress_bars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

logger = logging.getLogger(__name__)


class _StderrHandler(logging.Handler):
    """Writes to the present ``sys.stderr``, which progress bars replace while they are shown."""

    def emit(self, record: logging.LogRecord) -> None:
        # one write: messages of several threads must not be mixed
        sys.stderr.write(f"{self.format(record)}\n")


class _LevelFormatter(logging.Formatter):
    """``audiomask: message``, or ``audiomask: warning: message`` for warnings and errors."""

    def format(self, record: logging.LogRecord) -> str:
        named = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return printable(name_addresses(f"audiomask: {named}{super().format(record)}"))


def set_up_messages(quiet: bool, verbose: bool, debug: bool) -> None:
    """Send the messages of the ``audiomask`` logger to stderr.

    Warnings always, INFO unless ``quiet``, DEBUG when ``verbose`` or ``debug``. Python warnings of
    other packages appear with ``debug`` only.
    """
    level = logging.WARNING if quiet else logging.INFO
    if verbose or debug:
        level = logging.DEBUG
    if not debug:
        warnings.simplefilter("ignore")
    handler = _StderrHandler()
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("audiomask")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class Display:
    """Progress bars: one of all files, and one of each file in work.

    There are none where stderr is no terminal that redraws lines. A context manager.

    Args:
        quiet: show none.
        files: their number; a single file has only its own bar.
    """

    def __init__(self, quiet: bool, files: int = 1) -> None:
        self._shown = not quiet and is_live()
        self._files = files
        self.bars: Progress | None = None
        """rich's bars; None where none are shown."""
        self._whole: TaskID | None = None

    def __enter__(self) -> Self:
        if self._shown:
            from rich.progress import TextColumn

            form = "{task.fields[form]}"
            self.bars = progress_bars(
                TextColumn(f"{{task.completed:{form}}} of {{task.total:{form}}}"),
                TextColumn("{task.fields[unit]}"),
                transient=True,
            )
            self.bars.start()
            if self._files > 1:
                self._whole = self.bars.add_task("all", total=self._files, form=".0f", unit="files")
        return self

    def __exit__(self, *error: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def count(self) -> None:
        """Advance the bar of all files by one."""
        if self.bars is not None and self._whole is not None:
            self.bars.advance(self._whole)


class Meter:
    """The progress bar of one file, in seconds of audio.

    Args:
        display: shows it.
        check: called at every advance; an exception from it ends the work on this file.
    """

    def __init__(self, display: Display, check: Callable[[], None] = lambda: None) -> None:
        self._bars = display.bars
        self.check = check
        self._task: TaskID | None = None
        self.seconds = 0.0
        """Seconds of audio done."""

    def start(self, label: str, seconds: float) -> None:
        """Begin a new bar, ``seconds`` long."""
        self.check()
        logger.debug("%s: %.3f s of audio", label, seconds)
        self.seconds = 0.0
        self.stop()
        if self._bars is not None:
            self._task = self._bars.add_task(printable(label), total=seconds, form=".1f", unit="s")

    def advance(self, seconds: float) -> None:
        """Advance by ``seconds``."""
        self.check()
        self.seconds += seconds
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, seconds)

    def note(self, message: str) -> None:
        """Log a message about the file."""
        logger.info("%s", message)

    def stop(self) -> None:
        """Remove the bar."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
