"""Work through many inputs: progress on stderr, on after a failure, a table of what failed."""

import logging
import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from audiomask.cli.exits import describe, print_error
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_existing, without_existing
from audiomask.errors import AudiomaskError, CheckpointError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

logger = logging.getLogger(__name__)


class Meter:
    """Progress bars on stderr: of all files, and of the present one's seconds of audio.

    There are none where stderr is no terminal.

    Args:
        quiet: show none.
        files: how many there are in all; one file has its own bar alone.
    """

    def __init__(self, quiet: bool, files: int = 1) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._files = files
        self._progress: Progress | None = None
        self._whole: TaskID | None = None
        self._task: TaskID | None = None
        self.seconds = 0.0
        """Seconds of audio done of the present input."""

    def __enter__(self) -> "Meter":
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
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
            self._progress.start()
            if self._files > 1:
                self._whole = self._progress.add_task(
                    "all", total=self._files, form=".0f", unit="files"
                )
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, label: str, seconds: float) -> None:
        """Begin the bar of one input, ``seconds`` long."""
        logger.debug("%s: %.3f s of audio", label, seconds)
        self.seconds = 0.0
        if self._progress is not None:
            self.stop()
            self._task = self._progress.add_task(label, total=seconds, form=".1f", unit="s")

    def advance(self, seconds: float) -> None:
        """``seconds`` more of the present input are done."""
        self.seconds += seconds
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, seconds)

    def note(self, message: str) -> None:
        """Say something about the present input, unless messages were declined."""
        logger.info("%s", message)

    def stop(self) -> None:
        """Take the present input's bar away."""
        if self._progress is not None and self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def count(self) -> None:
        """One more file is dealt with."""
        if self._progress is not None and self._whole is not None:
            self._progress.advance(self._whole)


def run_jobs(
    jobs: Sequence[Job],
    common: Common,
    work: Callable[[Job, Meter], None],
    failed: Callable[[Job, str], None] | None = None,
) -> int:
    """Do ``work`` on every job and return the exit code.

    One job's error leaves as it is. Of several, a failed one is reported and the others are done;
    a table at the end says which failed and why. A checkpoint's error ends all: it would come
    back with every input.

    Args:
        jobs: what is to be done, in order.
        common: whether outputs that exist are skipped, replaced, or an error.
        work: does one job, at most with those of its outputs that are missing.
        failed: told each job that failed, and why.
    """
    failures: list[tuple[str, str]] = []
    with Meter(common.quiet, len(jobs)) as meter:
        for number, job in enumerate(jobs, start=1):
            place = f"{number} of {len(jobs)}, " if len(jobs) > 1 else ""
            try:
                _run_job(job, common, work, meter, place)
            except (CheckpointError, BrokenPipeError):
                raise
            except Exception as error:
                label = job.input.label
                named = _naming(error, label)
                why = describe(error).removeprefix(f"{label}: ")
                if failed is not None:
                    failed(job, why)
                if len(jobs) > 1:
                    print_error(named, common.debug)
                    failures.append((label, why))
                elif named is error:
                    raise
                else:
                    raise named from error
            finally:
                meter.stop()
                meter.count()
    if failures:
        header = (f"{len(failures)} of {len(jobs)} files failed", "why")
        print_table([header, *failures])
    return 1 if failures else 0


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in aligned columns on stderr, the first row as the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), file=sys.stderr)
        if number == 0:
            print("  ".join("-" * width for width in widths), file=sys.stderr)


def _run_job(
    job: Job, common: Common, work: Callable[[Job, Meter], None], meter: Meter, place: str
) -> None:
    """Do one job, whose ``place`` among all is told with its time."""
    if common.skip_existing and job.outputs:
        job = without_existing(job)
        if not job.outputs:
            logger.info("%s: skipped, its outputs exist", job.input.label)
            return
    check_existing(job, common)
    began = monotonic()
    work(job, meter)
    took = monotonic() - began
    meter.stop()  # before the line about it
    if not job.outputs:
        return
    places = [str(place) for place in job.outputs.values() if place != "-"]
    logger.info(
        "%s -> %s (%s%.1f s of audio in %.1f s)",
        job.input.label,
        ", ".join(places) or "standard output",
        place,
        meter.seconds,
        took,
    )


def _naming(error: Exception, label: str) -> Exception:
    """The error, with the input's name put before a message that lacks it."""
    if isinstance(error, AudiomaskError) and label not in str(error):
        named = type(error)(f"{label}: {error}")
        named.__cause__ = error
        return named
    return error
