"""Progress on stderr: bars of all files and of those under way, where it is a terminal."""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from audiomask.cli.messages import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

logger = logging.getLogger(__name__)


class Display:
    """Bars on stderr; there are none where it is no terminal. A context manager.

    Args:
        quiet: show none.
        files: how many there are in all; one file has its own bar alone.
    """

    def __init__(self, quiet: bool, files: int = 1) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._files = files
        self.bars: Progress | None = None
        """The bars, while there are any."""
        self._whole: TaskID | None = None

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn(
                    "{task.completed:{task.fields[form]}} of {task.total:{task.fields[form]}}"
                ),
                TextColumn("{task.fields[unit]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
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
        """One more file is dealt with."""
        if self.bars is not None and self._whole is not None:
            self.bars.advance(self._whole)


class Meter:
    """The bar of one file: its seconds of audio.

    Args:
        display: shows it.
        check: called at every sign of life; what it raises ends the work on this file.
    """

    def __init__(self, display: Display, check: Callable[[], None] = lambda: None) -> None:
        self._bars = display.bars
        self.check = check
        self._task: TaskID | None = None
        self.seconds = 0.0
        """Seconds of audio done."""

    def start(self, label: str, seconds: float) -> None:
        """Begin the bar, ``seconds`` long, in place of the one there was."""
        self.check()
        logger.debug("%s: %.3f s of audio", label, seconds)
        self.seconds = 0.0
        self.stop()
        if self._bars is not None:
            self._task = self._bars.add_task(printable(label), total=seconds, form=".1f", unit="s")

    def advance(self, seconds: float) -> None:
        """``seconds`` more are done."""
        self.check()
        self.seconds += seconds
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, seconds)

    def note(self, message: str) -> None:
        """Say something about the file, unless messages were declined."""
        logger.info("%s", message)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
