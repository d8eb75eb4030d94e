"""Where the results go: planned and checked before any work starts."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiomask.cli.inputs import Input, Inputs, Location
from audiomask.cli.options import Common
from audiomask.errors import UsageError


@dataclass(frozen=True)
class Job:
    """One input and what is to be made of it."""

    input: Input
    outputs: dict[str, Location] = field(default_factory=dict)
    """Where each result goes, by its name (a stem's); one result alone is named ''."""

    @property
    def output(self) -> Location:
        """Where the one result goes."""
        return self.outputs[""]


def plan_files(
    inputs: Inputs, output: str | None, rename: Callable[[Path], Path], text: bool = False
) -> list[Job]:
    """One output file for each input.

    ``rename`` turns an input's path into its output's. Without ``-o`` the output lies beside the
    input (standard output for standard input); ``-o`` is a folder when it ends with a slash, is
    one already, or several inputs are given. ``text`` results may go to a terminal.
    Raises UsageError for an output that cannot be.
    """
    return [Job(item, {"": _place(item, inputs, output, rename, text)}) for item in inputs.items]


def check_outputs(jobs: Sequence[Job], common: Common) -> None:
    """Raise UsageError where outputs collide, or where the one input's output exists already.

    Of several inputs, those whose outputs exist fail one by one instead, and the rest is done.
    """
    sources = {os.path.realpath(job.input.source) for job in jobs if job.input.source != "-"}
    taken: dict[str, Job] = {}
    for job in jobs:
        for place in job.outputs.values():
            if place == "-":
                continue
            real = os.path.realpath(place)
            if real in sources:
                raise UsageError(f"the output {place} is an input: choose another with -o")
            if real in taken:
                raise UsageError(
                    f"{taken[real].input.label} and {job.input.label} would both be written to "
                    f"{place}: do them apart, with different -o"
                    if taken[real] is not job
                    else f"several results of {job.input.label} would be written to {place}"
                )
            taken[real] = job
    if len(jobs) == 1 and not common.skip_existing:
        check_existing(jobs[0], common)


def check_existing(job: Job, common: Common) -> None:
    """Raise UsageError when an output exists and may not be replaced."""
    if common.overwrite:
        return
    for place in job.outputs.values():
        if place != "-" and _is_taken(place):
            raise UsageError(f"{place} exists: add --overwrite or --skip-existing, or choose -o")


def without_existing(job: Job) -> Job:
    """The job with only those outputs that do not exist yet."""
    missing = {
        name: place for name, place in job.outputs.items() if place == "-" or not _is_taken(place)
    }
    return Job(job.input, missing)


def to_stdout(text: bool = False) -> Location:
    """``-`` as an output; raises UsageError when binary data would go to a terminal."""
    if not text and sys.stdout.isatty():
        raise UsageError("binary data would go to the terminal: name a file with -o")
    return "-"


def _is_taken(place: Path) -> bool:
    """Whether writing there would replace something; a device or a named pipe replaces nothing."""
    return place.is_file() or place.is_dir()


def _place(
    item: Input, inputs: Inputs, output: str | None, rename: Callable[[Path], Path], text: bool
) -> Location:
    if output == "-":
        if inputs.several:
            raise UsageError("standard output ('-o -') takes one file, and several are given")
        return to_stdout(text)
    if output is None:
        return to_stdout(text) if item.source == "-" else rename(item.source)
    folder = Path(output)
    if inputs.several or folder.is_dir() or output.endswith(("/", os.sep)):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"-o {output} is a file: several inputs need a folder")
        return folder / rename(item.relative)
    return folder
