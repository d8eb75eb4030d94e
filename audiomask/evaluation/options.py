"""What an evaluation is asked to do, free of torch so that the command line starts fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from audiomask.errors import UsageError
from audiomask.separation.settings import SeparationMethod


class Job(StrEnum):
    """What is measured."""

    vqvae = "vqvae"
    mlm = "mlm"
    infill = "infill"
    separate = "separate"


class Split(StrEnum):
    """Which part of the data it is measured on."""

    test = "test"
    validation = "validation"
    train = "train"
    all = "all"


#: milliseconds of the gaps that infill is measured on
GAP_LENGTHS = (20.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
#: the jobs that an option belongs to, if not to all
OWNERS = {
    "levels": (Job.vqvae,),
    "opinion": (Job.vqvae,),
    "fit": (Job.mlm,),
    "rounds": (Job.mlm,),
    "gap_length": (Job.infill,),
    "gaps_per_file": (Job.infill,),
    "method": (Job.infill, Job.separate),
    "steps": (Job.infill,),
    "temperature": (Job.infill,),
    "candidates": (Job.infill,),
}


@dataclass(frozen=True)
class EvaluateOptions:
    """One evaluation: ``audiomask evaluate`` fills this in, ``evaluation.run`` carries it out.

    What is None is the job's own default. ``gap_length`` is in milliseconds, ``seconds`` cuts
    every song down to its middle.
    """

    job: Job
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
        for name, owners in OWNERS.items():
            # what a dataclass's field defaults to is an attribute of the class
            given = getattr(self, name) != getattr(EvaluateOptions, name)
            if given and self.job not in owners:
                option = name.replace("_", "-")
                jobs = " and ".join(f"'evaluate {owner.value}'" for owner in owners)
                raise UsageError(f"--{option} belongs to {jobs}")
        if self.job is Job.separate and self.method not in (None, *SeparationMethod):
            known = ", ".join(SeparationMethod)
            raise UsageError(f"no method '{self.method}' (there are: {known})")
        for length in self.gap_length:
            if not 0 < length <= 60_000:
                raise UsageError(f"--gap-length {length:g}: gaps take 0 to 60000 ms")
        if self.seconds is not None and not 0.1 <= self.seconds < 1e9:
            raise UsageError(
                f"--seconds {self.seconds:g}: a song takes a tenth of a second at least"
            )
