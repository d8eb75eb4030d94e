"""Reports: JSON lines about the results of each file, complete even after a kill."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Self, TypeAlias

from audiomask.audio.atomic import write_error
from audiomask.audio.names import is_audio
from audiomask.cli.addresses import name_addresses
from audiomask.cli.gathering import Gatherer
from audiomask.cli.line_file import LineFile
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.errors import UsageError

#: a value of a line
Value: TypeAlias = str | float | bool | Sequence[Mapping[str, "Value"]]
_Entry: TypeAlias = Mapping[str, Value]


def check_report(
    path: Path | None,
    jobs: Sequence[Job],
    common: Common,
    resumable: bool = True,
    option: str = "--report",
) -> None:
    """Check that a report can be written.

    Args:
        path: of the report; None for no report.
        jobs: all of the run.
        common: whether an existing report is replaced or continued.
        resumable: whether ``skip_existing`` continues an existing one.
        option: of the path.

    Raises:
        UsageError: the path is no file, has the suffix of another format, is an input or output,
            or exists and may not be replaced.
    """
    if path is None:
        return
    if str(path) == "-" or path.is_dir():
        raise UsageError(f"{option} {path}: name a file")
    if is_audio(path) or path.suffix.lower() in (".safetensors", ".npy"):
        ending = ".txt" if option == "--labels" else ".jsonl"
        raise UsageError(f"{option} {path}: it is a text file: end its name with {ending}")
    places = [place for job in jobs for place in (job.input.source, *job.outputs.values())]
    if os.path.realpath(path) in {os.path.realpath(place) for place in places if place != "-"}:
        raise UsageError(f"{option} {path} is an input or an output: choose another name")
    if path.is_file() and not (common.overwrite or (resumable and common.skip_existing)):
        remedy = "--overwrite or --skip-existing" if resumable else "--overwrite"
        raise UsageError(f"{path} exists: add {remedy}, or rename {option}")


class JobReport(Gatherer):
    """The report of a run, or of several runs that continue it or divide its files.

    The lines of a file are appended before its outputs are renamed to their names, and replace its
    earlier lines, so that the report is right after a kill at any time. At the end the lines are
    sorted in the order of the files; a pipe gets them in the order in which files are done. Several
    threads and processes may add lines. A context manager.

    Args:
        path: of the report; None writes none.
        jobs: all of the run, in order.
        common: with ``skip_existing``, an existing report is continued.
        resumable: False to always replace an existing report.

    Raises:
        UsageError: (on entering) the file to continue is no report.
        AudioFileError: (on entering or later) it cannot be written.
    """

    #: the subcommand whose report it is
    command: ClassVar[str]
    #: every line has one of these keys, except for those of failed files
    keys: ClassVar[frozenset[str]]

    def __init__(
        self, path: Path | None, jobs: Sequence[Job], common: Common, resumable: bool = True
    ) -> None:
        self.path, self._jobs = path, jobs
        self._resumes = resumable and common.skip_existing
        self._file: LineFile | None = None
        # files with lines in the report
        self._known: set[str] = set()
        # instead of a file, for a device or a pipe
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
        if self._resumes:
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

    def _add_entries(self, job: Job, entries: Sequence[_Entry]) -> None:
        """Add the lines of a file, before its outputs are renamed to their names."""
        self._write(_name(job), [{"file": _name(job)} | dict(entry) for entry in entries])

    def failed(self, job: Job, why: str) -> None:
        """Add the line of a file that failed, in place of its earlier lines."""
        self._write(_name(job), [{"file": _name(job), "error": why}])

    def _write(self, name: str, entries: Sequence[_Entry]) -> None:
        self.gather(name, [name_addresses(json.dumps(entry)) for entry in entries])

    def gather(self, name: str, lines: Sequence[str]) -> None:
        """Write the lines of the file of a name."""
        if self._file is not None:
            self._put(self._file, name, lines)
        if self._stream is None:
            return
        assert self.path is not None
        try:
            with self._lock:
                self._stream.write(b"".join(line.encode() + b"\n" for line in lines))
        except OSError as error:
            raise write_error(self.path, error) from error

    def _put(self, file: LineFile, name: str, lines: Sequence[str]) -> None:
        """Append the lines of a file, in place of its earlier ones."""
        if name not in self._known:
            file.append(lines)
        else:
            added = [line.encode() for line in lines]

            def replace(old: list[bytes]) -> list[bytes]:
                return [line for line in old if self._subject(line)[0] != name] + added

            file.rewrite(replace)
        self._known.add(name)

    def _begin(self, lines: list[bytes]) -> list[bytes]:
        """The lines of a report to continue, without failures of files that are tried again."""
        mine = {_name(job) for job in self._jobs}
        kept = []
        for number, line in enumerate(lines, start=1):
            name, failed = self._subject(line)
            if not name:
                raise UsageError(
                    f"{self.path}: line {number} is not from a report of {self.command}: "
                    "choose another name"
                )
            if name not in mine or not failed:
                kept.append(line)
                self._known.add(name)
        return kept

    def _end(self, lines: list[bytes]) -> list[bytes]:
        """The lines in the order of the files, after those of other runs' files.

        If several runs have lines of a file, as it failed in one, those of the last run are kept.
        """
        by_file: dict[str, dict[bytes, None]] = {}
        failures: set[str] = set()
        for line in lines:
            name, failed = self._subject(line)
            if failed or name in failures:  # the later lines count
                by_file.pop(name, None)
                failures.discard(name)
            if failed:
                failures.add(name)
            by_file.setdefault(name, {})[line] = None
        ranks = {_name(job): rank for rank, job in enumerate(self._jobs)}
        ordered = sorted(by_file, key=lambda name: ranks.get(name, -1))
        return [line for name in ordered for line in by_file[name]]

    def _subject(self, line: bytes) -> tuple[str, bool]:
        """The file of a line, and whether it failed; the file is "" for a line of another kind."""
        try:
            entry = json.loads(line)
        except ValueError:
            return "", False
        if not isinstance(entry, dict) or not entry.keys() & (self.keys | {"error"}):
            return "", False
        name = entry.get("file")
        return (name, "error" in entry) if isinstance(name, str) else ("", False)


def _name(job: Job) -> str:
    """The name of a job's input in the report."""
    return name_addresses(str(job.input.source))
