"""Reports: JSON lines about what became of each file, which outlive a kill."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Self

from audiomask.audio.atomic import write_error
from audiomask.audio.names import is_audio
from audiomask.cli.line_file import LineFile
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.errors import UsageError

Entry = Mapping[str, str | float | bool]


def check_report(
    path: Path | None,
    jobs: Sequence[Job],
    common: Common,
    goes_on: bool = True,
    option: str = "--report",
) -> None:
    """Raise UsageError where the report cannot be, or may not replace what is there.

    Args:
        path: where it is to be; None for nowhere.
        jobs: all of the run.
        common: what may be done with a report that exists.
        goes_on: whether one that exists may be gone on with.
        option: what named the path.
    """
    if path is None:
        return
    if str(path) == "-" or path.is_dir():
        raise UsageError(f"{option} {path}: name a file")
    if is_audio(path) or path.suffix.lower() in (".safetensors", ".npy"):
        ending = ".txt" if option == "--labels" else ".jsonl"
        raise UsageError(f"{option} {path}: it holds lines of text: end the name with {ending}")
    places = [place for job in jobs for place in (job.input.source, *job.outputs.values())]
    if os.path.realpath(path) in {os.path.realpath(place) for place in places if place != "-"}:
        raise UsageError(f"{option} {path} is an input or an output: choose another name")
    if path.is_file() and not (common.overwrite or (goes_on and common.skip_existing)):
        mend = "--overwrite or --skip-existing" if goes_on else "--overwrite"
        raise UsageError(f"{path} exists: add {mend}, or rename {option}")


class JobReport:
    """The report of a run, or of several that go on with each other or share the work.

    A file's lines are appended before its output takes its name. They take the place of what was
    said of it before: so each thing is told once, whenever a kill came. The report is read when a
    run goes on with it, and once at the end, when its lines are put in the order of the files; a
    pipe gets them as files are done. Several threads and processes may add to it.
    A context manager.

    Args:
        path: where it is; None keeps no report.
        jobs: all of the run, in order.
        common: with ``skip_existing``, what the report says of outputs that exist stays.
        goes_on: whether it does so at all.

    Raises:
        UsageError: (on entering) a report to go on with is none.
        AudioFileError: (from then on) it cannot be written.
    """

    #: the subcommand whose report it is
    command: ClassVar[str]
    #: keys of which a line about a file that did not fail has one
    keys: ClassVar[frozenset[str]]

    def __init__(
        self, path: Path | None, jobs: Sequence[Job], common: Common, goes_on: bool = True
    ) -> None:
        self.path, self._jobs = path, jobs
        self._goes_on = goes_on and common.skip_existing
        self._file: LineFile | None = None
        # the files that it is known to have lines about
        self._known: set[str] = set()
        # a device or a pipe takes lines and gives none back
        self._stream: BinaryIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self.path is None:
            return self
        if self.path.exists() and not self.path.is_file():
            try:
                self._stream = self.path.open("wb", buffering=0)
            except OSError as error:
                raise write_error(self.path, error) from error
            return self
        self._file = LineFile(self.path)
        if self._goes_on:
            self._file.rewrite(self._begin)
        else:
            self._file.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._file is not None:
            self._file.rewrite(self._end)

    def add_entries(self, job: Job, entries: Sequence[Entry]) -> None:
        """Add lines about a file whose outputs, if any, are complete but for their names."""
        self._tell(job, [{"file": _name(job)} | dict(entry) for entry in entries])

    def failed(self, job: Job, why: str) -> None:
        """Add the line of a file that failed, in place of what was said of it."""
        self._tell(job, [{"file": _name(job), "error": why}])

    def _tell(self, job: Job, entries: Sequence[Entry]) -> None:
        lines = [json.dumps(entry) for entry in entries]
        if self._file is not None:
            self._put(self._file, _name(job), lines)
        if self._stream is None:
            return
        assert self.path is not None
        try:
            with self._lock:
                self._stream.write(b"".join(line.encode() + b"\n" for line in lines))
        except OSError as error:
            raise write_error(self.path, error) from error

    def _put(self, file: LineFile, name: str, lines: Sequence[str]) -> None:
        """Append the lines of a file, in place of those that there are."""
        if name not in self._known:
            file.append(lines)
        else:
            added = [line.encode() for line in lines]

            def replaced(old: list[bytes]) -> list[bytes]:
                return [line for line in old if self._subject(line)[0] != name] + added

            file.rewrite(replaced)
        self._known.add(name)

    def _begin(self, lines: list[bytes]) -> list[bytes]:
        """The lines of a report to go on with, without the failures of files of this run.

        They are tried again, or their outputs are there now.
        """
        mine = {_name(job) for job in self._jobs}
        kept = []
        for number, line in enumerate(lines, start=1):
            name, failed = self._subject(line)
            if not name:
                raise UsageError(
                    f"{self.path}: line {number} is none of a report of {self.command}: "
                    "choose another name"
                )
            if name not in mine or not failed:
                kept.append(line)
                self._known.add(name)
        return kept

    def _end(self, lines: list[bytes]) -> list[bytes]:
        """The lines in the order of the files, those of other runs' files first.

        A run that shared the work and was killed may have told the gaps of a file that was done
        here in the end; one that failed may have been done by another.
        """
        told: dict[str, dict[bytes, None]] = {}
        failures: set[str] = set()
        for line in lines:
            name, failed = self._subject(line)
            if failed or name in failures:  # what comes later counts
                told.pop(name, None)
                failures.discard(name)
            if failed:
                failures.add(name)
            told.setdefault(name, {})[line] = None
        ranks = {_name(job): rank for rank, job in enumerate(self._jobs)}
        ordered = sorted(told, key=lambda name: ranks.get(name, -1))
        return [line for name in ordered for line in told[name]]

    def _subject(self, line: bytes) -> tuple[str, bool]:
        """The file that a line is about, and whether it failed.

        The name is empty where the line is none of such a report.
        """
        try:
            entry = json.loads(line)
        except ValueError:
            return "", False
        if not isinstance(entry, dict) or not entry.keys() & (self.keys | {"error"}):
            return "", False
        name = entry.get("file")
        return (name, "error" in entry) if isinstance(name, str) else ("", False)


def _name(job: Job) -> str:
    """How the report names a job's input."""
    return str(job.input.source)
