"""Reports: JSON lines about what became of each file, which outlive a kill."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Self, TypeAlias

from audiomask.audio.atomic import write_error
from audiomask.audio.names import is_audio
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
    """Raise UsageError where a report cannot be written, or a file may not be replaced.

    Args:
        path: of the report; None for no report.
        jobs: all of the run.
        common: whether an existing report is replaced or continued.
        resumable: whether ``skip_existing`` continues an existing one.
        option: that the path was given to.
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
    if path.is_file() and not (common.overwrite or (resumable and common.skip_existing)):
        remedy = "--overwrite or --skip-existing" if resumable else "--overwrite"
        raise UsageError(f"{path} exists: add {remedy}, or rename {option}")


class JobReport:
    """The report of one run, or of several runs that continue it or share its files.

    A file's lines are appended before its output is renamed to its name, and replace earlier lines
    about the file. So each thing is told once, whenever the process is killed. The report is read
    when a run continues it, and at the end, to sort its lines in the order of the files; a pipe
    gets them in the order in which files are done. Several threads and processes may add to it.
    A context manager.

    Args:
        path: of the report; None writes none.
        jobs: all of the run, in order.
        common: with ``skip_existing``, an existing report is continued.
        resumable: False to always replace it.

    Raises:
        UsageError: (on entering) the file to continue is no report.
        AudioFileError: (on entering or later) it cannot be written.
    """

    #: the subcommand whose report it is
    command: ClassVar[str]
    #: keys of which each line about a file that did not fail has at least one
    keys: ClassVar[frozenset[str]]

    def __init__(
        self, path: Path | None, jobs: Sequence[Job], common: Common, resumable: bool = True
    ) -> None:
        self.path, self._jobs = path, jobs
        self._resumes = resumable and common.skip_existing
        self._file: LineFile | None = None
        # names of the files that have lines in it
        self._known: set[str] = set()
        # for a device or a pipe, which cannot be read
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
        """Add lines about a file, before its outputs are renamed to their names."""
        self._write(job, [{"file": _name(job)} | dict(entry) for entry in entries])

    def failed(self, job: Job, why: str) -> None:
        """Add the line of a file that failed, in place of its earlier lines."""
        self._write(job, [{"file": _name(job), "error": why}])

    def _write(self, job: Job, entries: Sequence[_Entry]) -> None:
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
        """The lines of a report to continue, without the failures of files of this run.

        These files are tried again, or their outputs exist by now.
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

        Of a file that several runs worked on, as one failed or was killed, the lines of the last
        are kept.
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
    """The name of a job's input in the report."""
    return str(job.input.source)
