"""Runs jobs, one or several at once: a failed one is reported, and the others are done."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from time import monotonic

from audiomask.cli.addresses import name_addresses
from audiomask.cli.console import Display, Meter
from audiomask.cli.exits import describe, print_error
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.cli.signals import raise_if_signaled
from audiomask.cli.task import Task
from audiomask.cli.workers import StopEvent, run_all
from audiomask.errors import (
    AudiomaskError,
    CheckpointError,
    ClusterError,
    DeviceError,
    OutputExistsError,
)
from audiomask.runtime.console import print_table, printable

#: errors that end the command, as every other input would fail in the same way
_FATAL_ERRORS = (CheckpointError, ClusterError, DeviceError, BrokenPipeError)

logger = logging.getLogger(__name__)


class _RunSummary:
    """Counts the files that were done, skipped, left to another run, or failed.

    Args:
        files: their number.
    """

    def __init__(self, files: int) -> None:
        self.files = files
        self._counts = {"done": 0, "skipped": 0, "left to another run": 0, "failed": 0}
        self._failures: dict[int, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def add(self, outcome: str) -> str:
        """Count a file; returns its place among several files, such as "2 of 3, "."""
        with self._lock:
            self._counts[outcome] += 1
            place = sum(self._counts.values())
        return f"{place} of {self.files}, " if self.files > 1 else ""

    def fail(self, number: int, label: str, why: str) -> None:
        """Count a file that failed, and keep why for the table."""
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

    The error of a single job is raised. Of several jobs, a failed one is reported and the others
    are done; a table at the end says which failed and why. ``_FATAL_ERRORS`` end the command.

    With ``skip_existing`` several processes may do the same jobs. Each claims a job before it does
    it (:func:`audiomask.cli.outputs.claim_missing`), and passes over those that others have
    claimed. At the end it tries these again, as the other process may have been killed.

    With ``ray`` the work is done by the workers of a cluster, which get a copy of ``work``.

    Args:
        jobs: in the order in which they are begun.
        common: whether existing outputs are skipped, replaced, or an error; how many jobs are done
            at once.
        work: does one job. With ``skip_existing`` it gets the job with its missing outputs only.
            Several jobs at once are done in threads.
        failed: called with each job that failed, and why.
    """
    summary = _RunSummary(len(jobs))
    held: list[int] = []  # numbers of the jobs that other processes have claimed

    def do(number: int, stop: StopEvent, last: bool) -> None:
        job = jobs[number]
        meter = Meter(display, stop.check)
        try:
            began = monotonic()
            done = perform(job, meter)
            meter.stop()  # before the line about it
            if done is None and not last:
                held.append(number)
                return
            if done is not None and (done.outputs or not job.outputs):
                _report_done(done, summary, meter.seconds, monotonic() - began)
            else:
                _report_undone(job, summary, exists=done is not None and not last)
        except _FATAL_ERRORS:
            raise
        except Exception as error:
            raise_if_signaled()
            meter.stop()  # before the line about it
            if isinstance(error, OutputExistsError) and common.skip_existing:
                # another process made it, whose lock could not be seen
                _report_undone(job, summary, exists=False)
            else:
                named = _with_label(error, job.input.label)
                why = describe(error).removeprefix(printable(f"{job.input.label}: "))
                if failed is not None:
                    failed(job, why)
                if len(jobs) == 1:
                    raise named from named.__cause__
                print_error(named, common.debug)
                summary.fail(number, job.input.label, why)
        finally:
            meter.stop()
        display.count()

    with ExitStack() as stack:
        display = stack.enter_context(Display(common.quiet, len(jobs)))
        perform: Callable[[Job, Meter], Job | None] = Task(work, common)
        parallel = common.jobs
        if common.ray is not None:
            from audiomask.cli.cluster import Cluster

            cluster = stack.enter_context(Cluster(Task(work, common), common, jobs))
            perform, parallel = cluster.perform, cluster.size
        for last in (False, True):
            numbers = sorted(held) if last else range(len(jobs))
            stop = StopEvent()
            threads = min(parallel, len(numbers))
            if threads < 2 and (common.ray is None or not numbers):
                for number in numbers:
                    do(number, stop, last)
            else:
                from_stdin = [number for number in numbers if jobs[number].input.source == "-"]
                run_all(numbers, partial(do, stop=stop, last=last), threads, from_stdin, stop)
    return summary.show(summed_up=any(job.outputs for job in jobs))


def _report_done(job: Job, summary: _RunSummary, seconds: float, took: float) -> None:
    """Count a job that is done, and log its outputs.

    Args:
        job: with the outputs that were written.
        summary: counts it.
        seconds: of audio.
        took: seconds of work.
    """
    place = summary.add("done")
    if not job.outputs:
        return
    places = [str(place) for place in job.outputs.values() if place != "-"]
    logger.info(
        "%s -> %s (%s%.1f s of audio in %.1f s)",
        job.input.label,
        ", ".join(places) or "standard output",
        place,
        seconds,
        took,
    )


def _report_undone(job: Job, summary: _RunSummary, exists: bool) -> None:
    """Count and log a job that was not done: its outputs exist, or another process makes them."""
    if exists:
        logger.info("%s: skipped, its outputs exist", job.input.label)
        summary.add("skipped")
    else:
        logger.info("%s: left to another run", job.input.label)
        summary.add("left to another run")


def _with_label(error: Exception, label: str) -> Exception:
    """The error, with the input's name before a message that lacks it."""
    if isinstance(error, AudiomaskError) and label not in name_addresses(str(error)):
        named = type(error)(f"{label}: {error}")
        named.__cause__ = error
        return named
    return error
