"""Work through many inputs: on after a failure, at the end a table of what failed and why."""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from audiomask.cli.console import Display, Meter
from audiomask.cli.exits import describe, print_error
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_existing, without_existing
from audiomask.cli.signals import raise_if_signaled
from audiomask.cli.workers import StopEvent, run_all
from audiomask.errors import AudiomaskError, CheckpointError, DeviceError, OutputExistsError
from audiomask.runtime.console import print_table, printable

#: errors that end all: they would come back with every input
FATAL_ERRORS = (CheckpointError, DeviceError, BrokenPipeError)

logger = logging.getLogger(__name__)


class RunSummary:
    """How many files were done, skipped, left to another run, and failed, and why these did.

    Args:
        files: how many there are.
    """

    def __init__(self, files: int) -> None:
        self.files = files
        self._counts = {"done": 0, "skipped": 0, "left to another run": 0, "failed": 0}
        self._failures: dict[int, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def add(self, outcome: str) -> str:
        """Count one; returns its place among several files, as in "2 of 3, "."""
        with self._lock:
            self._counts[outcome] += 1
            place = sum(self._counts.values())
        return f"{place} of {self.files}, " if self.files > 1 else ""

    def fail(self, number: int, label: str, why: str) -> None:
        """Count the input of that number, which failed."""
        self.add("failed")
        self._failures[number] = (label, why)

    def show(self, summed_up: bool) -> int:
        """Print the table of failures, in the order of the inputs, and return the exit code.

        Args:
            summed_up: whether a line says how many of several files were done.
        """
        if self._failures:
            header = (f"{len(self._failures)} of {self.files} files failed", "why")
            print_table(header, [self._failures[number] for number in sorted(self._failures)])
        if summed_up and self.files > 1:
            done = f"{self._counts['done']} of {self.files} files done"
            rest = [f"{n} {o}" for o, n in self._counts.items() if o != "done" and n]
            logger.info("%s", ", ".join([done, *rest]))
        return 1 if self._failures else 0


def run_jobs(
    jobs: Sequence[Job],
    common: Common,
    work: Callable[[Job, Meter], None],
    failed: Callable[[Job, str], None] | None = None,
) -> int:
    """Do ``work`` on every job and return the exit code.

    One job's error leaves as it is. Of several, a failed one is reported and the others are done;
    a table at the end says which failed and why. The error of a checkpoint or a GPU ends all: it
    would come back with every input.

    With ``skip_existing`` several runs may do the same jobs at once. A job is held, with all of
    its outputs, by the run that does it (:func:`audiomask.audio.atomic.claim_outputs`); the others
    pass over it. At its end a run comes back to what it passed over: the other may have died.

    Args:
        jobs: what is to be done, in order.
        common: whether outputs that exist are skipped, replaced, or an error; how many jobs are
            done at once.
        work: does one job, at most with those of its outputs that are missing; in a thread of its
            own when there are several.
        failed: told each job that failed, and why.
    """
    summary = RunSummary(len(jobs))
    busy: list[int] = []  # jobs of others, to come back to

    def do(number: int, stop: StopEvent, last: bool) -> None:
        job = jobs[number]
        meter = Meter(display, stop.check)
        try:
            if not _run_job(job, common, work, meter, summary, last):
                busy.append(number)
                return
        except FATAL_ERRORS:
            raise
        except Exception as error:
            raise_if_signaled()
            meter.stop()  # before the line about it
            label = job.input.label
            named = _with_label(error, label)
            why = describe(error).removeprefix(printable(f"{label}: "))
            if failed is not None:
                failed(job, why)
            if len(jobs) > 1:
                print_error(named, common.debug)
                summary.fail(number, label, why)
            elif named is error:
                raise
            else:
                raise named from error
        finally:
            meter.stop()
        display.count()

    def do_all(numbers: Sequence[int], last: bool) -> None:
        stop = StopEvent()
        run_all(
            numbers,
            lambda number: do(number, stop, last),
            min(common.jobs, len(numbers)),
            lambda number: jobs[number].input.source == "-",
            stop,
        )

    with Display(common.quiet, len(jobs)) as display:
        do_all(range(len(jobs)), last=False)
        if busy:
            do_all(sorted(busy), last=True)
    return summary.show(summed_up=any(job.outputs for job in jobs))


def _run_job(
    job: Job,
    common: Common,
    work: Callable[[Job, Meter], None],
    meter: Meter,
    summary: RunSummary,
    last: bool,
) -> bool:
    """Do one job, or leave it where its outputs exist or another run makes them.

    Args:
        job: what is to be done.
        common: whether outputs that exist are skipped.
        work: does it.
        meter: of its progress.
        summary: counts it.
        last: whether this is the second time; the first time another run had it.

    Returns:
        False where another run has it and ``last`` is not set: it is to be tried again.
    """
    if not common.skip_existing or not job.outputs:
        check_existing(job, common)
        _do_job(job, work, meter, summary)
        return True

    from audiomask.audio.atomic import claim_outputs, remove_leftover

    label = job.input.label
    missing = without_existing(job)
    with claim_outputs(place for place in missing.outputs.values() if place != "-") as free:
        missing = without_existing(missing)  # another may have finished until we held them
        if missing.outputs and free:
            try:
                _do_job(missing, work, meter, summary)
                return True
            except OutputExistsError:  # of a run that no lock told us of
                free = False
        elif not last and not free:
            return False
    if not missing.outputs:
        for place in job.outputs.values():
            if place != "-":
                remove_leftover(place)
    if not missing.outputs and not last:
        logger.info("%s: skipped, its outputs exist", label)
        summary.add("skipped")
    else:
        logger.info("%s: left to another run", label)
        summary.add("left to another run")
    return True


def _do_job(
    job: Job, work: Callable[[Job, Meter], None], meter: Meter, summary: RunSummary
) -> None:
    """Do one job, and tell its place among all and its time."""
    began = monotonic()
    work(job, meter)
    took = monotonic() - began
    meter.stop()  # before the line about it
    place = summary.add("done")
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


def _with_label(error: Exception, label: str) -> Exception:
    """The error, with the input's name put before a message that lacks it."""
    if isinstance(error, AudiomaskError) and label not in str(error):
        named = type(error)(f"{label}: {error}")
        named.__cause__ = error
        return named
    return error
