"""Options of an evaluation."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from audiomask.errors import UsageError
from audiomask.kinds import KINDS, resolve
from audiomask.options import Option
from audiomask.separation.settings import SeparationMethod

#: tasks that are measured besides the kinds of models, with their evaluators
_TASKS = {
    "infill": "audiomask.evaluation.infill:InfillEvaluator",
    "separate": "audiomask.evaluation.separation:SeparationEvaluator",
}


def jobs() -> tuple[str, ...]:
    """All that can be measured: every kind of model, and the tasks."""
    return (*KINDS, *_TASKS)


class Split(StrEnum):
    """The part of the data to measure on."""

    test = "test"
    validation = "validation"
    train = "train"
    all = "all"


#: milliseconds of the gaps that infill is measured on
GAP_LENGTHS = (20.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
#: the options that only some evaluators take
SPECIAL = (
    "levels", "opinion", "fit", "rounds", "gap_length", "gaps_per_file", "method", "steps",
    "temperature", "candidates", "notes", "pairs", "continuations",
)  # fmt: skip


_data = partial(Option, "What to measure on")
_vqvae = partial(Option, "vqvae")
_mlm = partial(Option, "mlm")
_counted = partial(Option, "mlm and lm")
_infill = partial(Option, "infill")
_lm = partial(Option, "lm")
_spectrogram = partial(Option, "spectrogram")
_either = partial(Option, "infill, separate and masks")


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of ``audiomask evaluate``; ``evaluation.run.Evaluation`` runs them.

    ``None`` is the default of the job. ``gap_length`` is in milliseconds; with ``seconds`` only so
    much of the middle of every song is measured.
    """

    job: str
    data: Annotated[tuple[Path, ...], _data("--data", "Folder of data; repeatable.", "DIR")]
    split: Annotated[
        Split, _data("--split", "Songs of this split only.", "test|validation|train|all")
    ] = Split.test
    limit: Annotated[int | None, _data("--limit", "At most so many songs.", "N", 1)] = None
    seconds: Annotated[float | None, _data("--seconds", "Only the middle of every song.", "S")] = (
        None
    )
    mono: Annotated[bool, _data("--mono", "Mix every song down to one channel first.")] = False
    seed: Annotated[int, _data("--seed", "Decides gaps, maskings and bands.", "N", 0)] = 0
    cache: Annotated[
        Path | None, _data("--cache", "Keep decoded notes and SoundFonts here.", "DIR")
    ] = None
    levels: Annotated[int | None, _vqvae("--levels", "Measure 1 to N levels.", "N", 1)] = None
    opinion: Annotated[
        bool,
        _vqvae("--opinion", "Also predict listeners' opinions: ViSQOL and Zimtohrli (slow)."),
    ] = False
    fit: Annotated[
        tuple[Path, ...],
        _counted("--fit", "Count unigram and bigram on this folder of data; repeatable.", "DIR"),
    ] = ()
    rounds: Annotated[int | None, _mlm("--rounds", "Maskings of every window (4).", "N", 1)] = None
    notes: Annotated[
        Path | None,
        _spectrogram("--notes", "Note bank for linear probes of pitch, family and chord.", "DIR"),
    ] = None
    pairs: Annotated[
        int | None,
        _lm("--pairs", "Minimal pairs of each kind, of a note bank among --data (20).", "N", 0),
    ] = None
    continuations: Annotated[
        int | None, _lm("--continuations", "Songs that are continued; 0 for none (8).", "N", 0)
    ] = None
    gap_length: Annotated[
        tuple[float, ...],
        _infill("--gap-length", "In milliseconds (20, 50, 100, 250, 500, 1000); repeatable.", "MS"),
    ] = ()
    gaps_per_file: Annotated[
        int | None, _infill("--gaps-per-file", "Gaps of each length in a song (2).", "N", 1)
    ] = None
    steps: Annotated[int | None, _infill("--steps", "As of 'audiomask infill'.", "N", 1)] = None
    temperature: Annotated[
        float | None, _infill("--temperature", "As of 'audiomask infill'.", "T", 0)
    ] = None
    candidates: Annotated[
        int | None, _infill("--candidates", "As of 'audiomask infill'.", "N", 1)
    ] = None
    method: Annotated[
        str | None, _either("--method", "As of 'audiomask infill' and 'separate'.", "NAME")
    ] = None
    quiet: bool = False

    def check(self) -> None:
        """Raise UsageError for options that are wrong whatever the data is."""
        for name, folders in (("data", self.data), ("fit", self.fit)):
            for folder in folders:
                if not folder.is_dir():
                    raise UsageError(f"--{name} {folder} is not a folder")
                if folders.count(folder) > 1:
                    raise UsageError(f"--{name} {folder} is given twice")
        if self.notes is not None and not self.notes.is_dir():
            raise UsageError(f"--notes {self.notes} is not a folder")
        for name in SPECIAL:
            # the default of a dataclass's field is an attribute of the class
            given_here = getattr(self, name) != getattr(EvaluateOptions, name)
            if given_here and name not in evaluator_of(self.job).options:
                option = name.replace("_", "-")
                owners = [job for job in jobs() if name in evaluator_of(job).options]
                named = " and ".join(f"'evaluate {owner}'" for owner in owners)
                raise UsageError(f"--{option} belongs to {named}")
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
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def evaluator_of(job: str) -> Any:
    """The class of the evaluator of a job; imports torch."""
    return resolve(_TASKS[job] if job in _TASKS else KINDS[job].evaluator)
