"""Outputs of a command, planned and checked before any work starts."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from audiomask.cli.addresses import check_writable, exists_there, is_folder
from audiomask.cli.inputs import Input, Inputs, Location, named_path
from audiomask.cli.options import Common
from audiomask.errors import UsageError


@dataclass(frozen=True)
class Job:
    """One input and its outputs."""

    input: Input
    outputs: dict[str, Location] = field(default_factory=dict)
    """Where each output goes, by its name (that of a stem, or '' for the only output)."""

    @property
    def output(self) -> Location:
        """The only output."""
        return self.outputs[""]


def plan_files(
    inputs: Inputs, output: str | None, rename: Callable[[Path], Path], text: bool = False
) -> list[Job]:
    """Jobs with one output file for each input.

    ``rename`` turns an input's path into its output's. Without ``-o`` the output lies beside the
    input, or is standard output for standard input. ``-o`` is a folder when it ends with a slash,
    is an existing folder, or several inputs are given. ``text`` outputs may go to a terminal.
    Raises UsageError for an impossible output.
    """
    if output == "":
        raise UsageError("-o is empty: name a file or a folder")
    return [Job(item, {"": _place(item, inputs, output, rename, text)}) for item in inputs.items]


def check_outputs(jobs: Sequence[Job], common: Common) -> None:
    """Raise UsageError where outputs collide, or where the only input's output exists already.

    Of several inputs, those whose outputs exist fail later, one by one, and the others are done.
    """
    sources = {key for job in jobs if job.input.source != "-" for key in _keys(job.input.source)}
    taken: dict[str, Job] = {}
    for job in jobs:
        for place in job.outputs.values():
            if place == "-":
                continue
            check_writable(place)
            if not sources.isdisjoint(_keys(place)):
                raise UsageError(f"the output {place} is an input: choose another with -o")
            real = os.path.realpath(place)
            if real in taken:
                raise UsageError(
                    f"{taken[real].input.label} and {job.input.label} would both be written to "
                    f"{place}: do them apart, with different -o"
                    if taken[real] is not job
                    else f"several results of {job.input.label} would be written to {place}"
                )
            taken[real] = job
    for one, other in _look_alikes(taken):
        if _is_one_name(one, other):
            raise UsageError(
                f"{one} and {other} are one file here: do {taken[one].input.label} and "
                f"{taken[other].input.label} apart, with different -o"
            )
    if len(jobs) == 1 and not common.skip_existing:
        check_existing(jobs[0], common)


def check_existing(job: Job, common: Common) -> None:
    """Raise UsageError when an output exists and may not be replaced."""
    if common.overwrite:
        return
    for place in job.outputs.values():
        if place != "-" and _is_taken(place):
            raise UsageError(f"{place} exists: add --overwrite or --skip-existing, or choose -o")


@contextmanager
def claim_missing(job: Job, common: Common) -> Iterator[Job | None]:
    """Claim a job for this process.

    With ``skip_existing`` its missing outputs are locked, all of them or none
    (:func:`audiomask.audio.atomic.claim_outputs`).

    Yields:
        The job, with ``skip_existing`` with its missing outputs only; None where another process
        has claimed one of them.

    Raises:
        UsageError: an output exists and may not be replaced.
    """
    if not common.skip_existing or not job.outputs:
        check_existing(job, common)
        yield job
        return

    from audiomask.audio.atomic import claim_outputs, remove_leftover

    missing = without_existing(job)
    with claim_outputs(place for place in missing.outputs.values() if place != "-") as free:
        missing = without_existing(missing)  # another may have finished before they were locked
        yield missing if free else None
    if free and not missing.outputs:
        for place in job.outputs.values():
            if place != "-":
                remove_leftover(place)


def to_stdout(text: bool = False) -> Location:
    """``-`` as an output; raises UsageError when binary data would go to a terminal."""
    if sys.stdout is None:
        raise UsageError("standard output is closed: name a file with -o")
    if not text and sys.stdout.isatty():
        raise UsageError("binary data would go to the terminal: name a file with -o")
    return "-"


def without_existing(job: Job) -> Job:
    """The job with only those outputs that do not exist yet."""
    missing = {
        name: place for name, place in job.outputs.items() if place == "-" or not _is_taken(place)
    }
    return Job(job.input, missing)


def _is_taken(place: Path) -> bool:
    """Whether writing there would replace something, unlike to a device or a named pipe."""
    return place.is_file() or place.is_dir() or exists_there(place)


def _keys(path: Path) -> set[object]:
    """What identifies a file: its real path and, if it exists, its device and inode."""
    keys: set[object] = {os.path.realpath(path)}
    if path.is_file():
        there = path.stat()
        keys.add((there.st_dev, there.st_ino))
    return keys


def _look_alikes(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of paths that differ only by case or by the composition of accented letters."""
    first: dict[str, str] = {}
    found = []
    for path in paths:
        other = first.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            found.append((other, path))
    return found


def _is_one_name(one: str, other: str) -> bool:
    """Whether two paths are one file to the file system, found by a trial in the same folder."""
    from tempfile import TemporaryDirectory

    folder = next(parent for parent in Path(one).parents if parent.is_dir())
    try:
        with TemporaryDirectory(prefix=".audiomask-", dir=folder) as trial:
            for name, alike in zip(Path(one).parts[1:], Path(other).parts[1:], strict=True):
                Path(trial, name).touch()
                if not Path(trial, alike).exists():
                    return False
    except OSError:  # nothing can be written there: each file reports it
        return False
    return True


def _place(
    item: Input, inputs: Inputs, output: str | None, rename: Callable[[Path], Path], text: bool
) -> Location:
    if output == "-":
        if inputs.several:
            raise UsageError("standard output ('-o -') takes one file, and several are given")
        return to_stdout(text)
    if output is None:
        return to_stdout(text) if item.source == "-" else rename(item.source)
    folder = named_path(output)
    if inputs.several or output.endswith(("/", os.sep)) or is_folder(folder):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"-o {output} is a file: several inputs need a folder")
        return folder / rename(item.relative)
    return folder
