"""``infill --report`` and ``--labels``: the gaps found and filled, in files.

A report has JSON lines, one for each gap and each file that failed. It survives a kill.
"""

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from audiomask.audio.atomic import write_error
from audiomask.audio.names import is_audio
from audiomask.cli.gaps import FoundGap
from audiomask.cli.line_file import LineFile
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.errors import UsageError
from audiomask.infill.gaps import name_channels

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile


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


def save_labels(path: Path, source: "AudioFile", found: Iterable[FoundGap]) -> None:
    """Write the gaps of a recording that are to be filled as a label track.

    Raises:
        AudioFileError: it cannot be written.
    """
    from audiomask.infill.labels import write_labels

    spans = [(one.gap, one.kind) for one in found if not one.left]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_labels(path, spans, source.sample_rate, source.channels)
    except OSError as error:
        raise write_error(path, error) from error


class GapReport:
    """The report of one run, or of several runs that continue it or share its files.

    A file's lines are appended before its output is renamed to its name, and replace earlier lines
    about the file. So each gap has one line, whenever the process is killed. The report is read
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

    def add(self, job: Job, source: "AudioFile", found: Iterable[FoundGap]) -> None:
        """Add a line for each gap of a file, before its output is renamed to its name."""
        place = {"file": _name(job)}
        if job.outputs:
            place["output"] = str(job.output)
        self._write(job, [place | _entry(one, source) for one in sorted(found)])

    def failed(self, job: Job, why: str) -> None:
        """Add the line of a file that failed, in place of its earlier lines."""
        self._write(job, [{"file": _name(job), "error": why}])

    def _write(self, job: Job, entries: Sequence[Mapping[str, str | float | bool]]) -> None:
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
            file.rewrite(lambda old: [line for line in old if _subject(line)[0] != name] + added)
        self._known.add(name)

    def _begin(self, lines: list[bytes]) -> list[bytes]:
        """The lines of a report to continue, without the failures of files of this run.

        These files are tried again, or their outputs exist by now.
        """
        mine = {_name(job) for job in self._jobs}
        kept = []
        for number, line in enumerate(lines, start=1):
            name, failed = _subject(line)
            if not name:
                raise UsageError(
                    f"{self.path}: line {number} is none of a report of infill: choose another name"
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
            name, failed = _subject(line)
            if failed or name in failures:  # the later lines count
                by_file.pop(name, None)
                failures.discard(name)
            if failed:
                failures.add(name)
            by_file.setdefault(name, {})[line] = None
        ranks = {_name(job): rank for rank, job in enumerate(self._jobs)}
        ordered = sorted(by_file, key=lambda name: ranks.get(name, -1))
        return [line for name in ordered for line in by_file[name]]


def _name(job: Job) -> str:
    """The name of a job's input in the report."""
    return str(job.input.source)


def _entry(found: FoundGap, source: "AudioFile") -> dict[str, str | float | bool]:
    """The line of a gap, with times to the microsecond, which is less than a sample."""
    gap, rate = found.gap, source.sample_rate
    entry: dict[str, str | float | bool] = {
        "start": round(gap.start / rate, 6),
        "end": round(gap.stop / rate, 6),
        "seconds": round(gap.length / rate, 6),
        "kind": found.kind,
    }
    if found.method:
        entry["method"] = found.method
    entry["channels"] = name_channels(gap.channels, source.channels)
    entry["filled"] = bool(found.method)
    if found.left:
        entry["left"] = found.left
    return entry


def _subject(line: bytes) -> tuple[str, bool]:
    """The file that a line is about, and whether it failed; an empty name if it is no such line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return "", False
    if not isinstance(entry, dict) or not entry.keys() & {"output", "error", "filled"}:
        return "", False
    name = entry.get("file")
    return (name, "error" in entry) if isinstance(name, str) else ("", False)
