"""What an evaluation is asked to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from audiomask.errors import UsageError
from audiomask.kinds import KINDS, resolve
from audiomask.separation.settings import SeparationMethod

#: what is measured besides the kinds of models, and by which evaluator
TASKS = {
    "infill": "audiomask.evaluation.infill:InfillEvaluator",
    "separate": "audiomask.evaluation.separation:SeparationEvaluator",
}
#: all that can be measured
JOBS = (*KINDS, *TASKS)


class Split(StrEnum):
    """Which part of the data it is measured on."""

    test = "test"
    validation = "validation"
    train = "train"
    all = "all"


#: milliseconds of the gaps that infill is measured on
GAP_LENGTHS = (20.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
#: the options that only some evaluators take
SPECIAL = (
    "levels", "opinion", "fit", "rounds", "gap_length", "gaps_per_file", "method", "steps",
    "temperature", "candidates",
)  # fmt: skip


@dataclass(frozen=True)
class EvaluateOptions:
    """One evaluation: ``audiomask evaluate`` fills this in, ``evaluation.run`` carries it out.

    What is None is the job's own default. ``gap_length`` is in milliseconds, ``seconds`` cuts
    every song down to its middle.
    """

    job: str
    data: tuple[Path, ...]
    split: Split = Split.test
    limit: int | None = None
    seconds: float | None = None
    mono: bool = False
    seed: int = 0
    cache: Path | None = None
    levels: int | None = None
    opinion: bool = False
    fit: tuple[Path, ...] = ()
    rounds: int | None = None
    gap_length: Sequence[float] = ()
    gaps_per_file: int | None = None
    method: str | None = None
    steps: int | None = None
    temperature: float | None = None
    candidates: int | None = None
    quiet: bool = False

    def check(self) -> None:
        """Raise UsageError for what can be seen to be wrong before any work."""
        for name, folders in (("data", self.data), ("fit", self.fit)):
            for folder in folders:
                if not folder.is_dir():
                    raise UsageError(f"--{name} {folder} is not a folder")
                if folders.count(folder) > 1:
                    raise UsageError(f"--{name} {folder} is given twice")
        for name in SPECIAL:
            # what a dataclass's field defaults to is an attribute of the class
            given_here = getattr(self, name) != getattr(EvaluateOptions, name)
            if given_here and name not in evaluator_of(self.job).options:
                option = name.replace("_", "-")
                owners = [job for job in JOBS if name in evaluator_of(job).options]
                jobs = " and ".join(f"'evaluate {owner}'" for owner in owners)
                raise UsageError(f"--{option} belongs to {jobs}")
        separates = "method" in evaluator_of(self.job).options and self.job != "infill"
        if separates and self.method not in (None, *SeparationMethod):
            known = ", ".join(SeparationMethod)
            raise UsageError(f"no method '{self.method}' (there are: {known})")
        for length in self.gap_length:
            if not 0 < length <= 60_000:
                raise UsageError(f"--gap-length {length:g}: gaps take 0 to 60000 ms")
        if self.seconds is not None and not 0.1 <= self.seconds < 1e9:
            raise UsageError(
                f"--seconds {self.seconds:g}: a song takes a tenth of a second at least"
            )


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def evaluator_of(job: str) -> Any:
    """The class of the evaluator of a job; imports torch."""
    return resolve(TASKS[job] if job in TASKS else KINDS[job].evaluator)
