"""What is done with every job, by this process or by a worker on another machine."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from audiomask.cli.addresses import fetched
from audiomask.cli.console import Meter
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, claim_missing, without_existing


@dataclass(frozen=True)
class Task:
    """The work on one job after another.

    Attributes:
        work: makes the outputs of a job.
        common: whether existing outputs are skipped, replaced, or an error.
    """

    work: Callable[[Job, Meter], None]
    common: Common

    def __call__(self, job: Job, meter: Meter, again: bool = False) -> Job | None:
        """Do a job.

        Args:
            job: to be done.
            meter: of its progress.
            again: whether a worker died that had it, and may have made some outputs.

        Returns:
            The job with the outputs that were made; None where another process works on it.
        """
        claimed: AbstractContextManager[Job | None] = claim_missing(job, self.common)
        if again:  # the dead worker's claim may last on
            claimed = nullcontext(job if self.common.overwrite else without_existing(job))
        with claimed as missing:
            if missing is not None and (missing.outputs or not job.outputs):
                places = [Path(place) for place in missing.outputs.values()]
                with fetched(Path(job.input.source), places, self.common.overwrite):
                    self.work(missing, meter)
        return missing
