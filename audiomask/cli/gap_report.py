"""``infill --report`` and ``--labels``: what was found and filled, in files.

A report has JSON lines, one a gap or a failed file, and outlives a kill.
"""

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from audiomask.audio.gaps import name_channels
from audiomask.cli.gaps import FoundGap
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, without_existing
from audiomask.errors import UsageError, why

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile


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
    places = [place for job in jobs for place in (job.input.source, *job.outputs.values())]
    if os.path.realpath(path) in {os.path.realpath(place) for place in places if place != "-"}:
        raise UsageError(f"{option} {path} is an input or an output: choose another name")
    if path.is_file() and not (common.overwrite or (goes_on and common.skip_existing)):
        mend = "--overwrite or --skip-existing" if goes_on else "--overwrite"
        raise UsageError(f"{path} exists: add {mend}, or rename {option}")


def save_labels(path: Path, source: "AudioFile", found: Iterable[FoundGap]) -> None:
    """Write the gaps of a recording that are not left alone as a label track.

    Raises:
        AudioFileError: it cannot be written.
    """
    from audiomask.audio.atomic import write_error
    from audiomask.audio.labels import write_labels

    spans = [(one.gap, one.kind) for one in found if not one.left]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_labels(path, spans, source.sample_rate, source.channels)
    except OSError as error:
        raise write_error(path, error) from error


class GapReport:
    """The report of a run, or of several that go on with each other. A context manager.

    A file's lines are added before its output takes its name. A run that goes on after a kill
    takes out what it will do again: so each gap is told once, whenever the kill came. At the end
    the lines are in the order of the files; a pipe gets them as files are done. Several threads may
    add to it.

    Args:
        path: where it is; None keeps no report.
        jobs: all of the run, in order.
        common: with ``skip_existing``, what the report says of outputs that exist stays.
        goes_on: whether it does so at all.

    Raises:
        UsageError: (on entering) a report to go on with is none.
        AudioFileError: (from then on) it cannot be written.
    """

    def __init__(
        self, path: Path | None, jobs: Sequence[Job], common: Common, goes_on: bool = True
    ) -> None:
        self.path, self._jobs = path, jobs
        self._goes_on = goes_on and common.skip_existing
        self._lines: dict[str, list[str]] = {}
        self._stream: BinaryIO | None = None
        self._lock = threading.Lock()
        # a device or a pipe takes lines and gives none back
        self._lasting = path is not None and (not path.exists() or path.is_file())

    def __enter__(self) -> Self:
        if self.path is None:
            return self
        if self._goes_on and self.path.is_file():
            self._lines = self._kept(self.path)
            self._rewrite()
        else:
            self._open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is None:
            return
        names = [_name(job) for job in self._jobs]
        ranks = {name: rank for rank, name in enumerate(names)}
        ordered = sorted(self._lines, key=lambda name: ranks.get(name, -1))
        if self._lasting and ordered != list(self._lines):
            self._lines = {name: self._lines[name] for name in ordered}
            self._rewrite()
        self._stream.close()

    def add(self, job: Job, source: "AudioFile", found: Iterable[FoundGap]) -> None:
        """Add a line for each gap of a file whose output, if any, is complete but for its name."""
        place = {"file": _name(job)}
        if job.outputs:
            place["output"] = str(job.output)
        with self._lock:
            self._add(job, [place | _entry(one, source) for one in sorted(found)])

    def failed(self, job: Job, why: str) -> None:
        """Add the line of a file that failed, in place of what was said of it."""
        with self._lock:
            if self._lines.pop(_name(job), None) and self._lasting:
                self._rewrite()
            self._add(job, [{"file": _name(job), "error": why}])

    def _add(self, job: Job, entries: Sequence[Mapping[str, str | float | bool]]) -> None:
        if self._stream is None or not entries:
            return
        lines = [json.dumps(entry) for entry in entries]
        try:
            for line in lines:
                self._stream.write(line.encode() + b"\n")
                self._stream.flush()
        except OSError as error:
            raise self._write_error(error) from error
        self._lines.setdefault(_name(job), []).extend(lines)

    def _kept(self, path: Path) -> dict[str, list[str]]:
        """The lines of an earlier run, without those of files that are done again."""
        stale = {_name(job) for job in self._jobs if without_existing(job).outputs}
        known = {_name(job) for job in self._jobs}
        kept: dict[str, list[str]] = {}
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {why(error)}") from error
        for number, line in enumerate(lines[:-1], start=1):  # the last is empty, or torn
            entry = _parse(line)
            if entry is None:
                raise UsageError(
                    f"{path}: line {number} is none of a report of infill: choose another --report"
                )
            name = entry["file"]
            if name not in stale and not (name in known and "error" in entry):
                kept.setdefault(name, []).append(line.decode())
        return kept

    def _rewrite(self) -> None:
        """Replace the whole file, all at once, and go on at its end."""
        from audiomask.audio.atomic import AtomicFile

        assert self.path is not None
        if self._stream is not None:
            self._stream.close()
        text = "".join(f"{line}\n" for lines in self._lines.values() for line in lines)
        try:
            with AtomicFile(self.path, overwrite=True) as temporary:
                temporary.write_text(text)
        except OSError as error:
            raise self._write_error(error) from error
        self._open("ab")

    def _open(self, mode: str) -> None:
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open(mode)  # type: ignore[assignment]
        except OSError as error:
            raise self._write_error(error) from error

    def _write_error(self, error: OSError) -> Exception:
        from audiomask.audio.atomic import write_error

        assert self.path is not None
        return write_error(self.path, error)


def _name(job: Job) -> str:
    """How the report names a job's input."""
    return str(job.input.source)


def _entry(found: FoundGap, source: "AudioFile") -> dict[str, str | float | bool]:
    """What a line says of a gap; a microsecond is less than a sample."""
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


def _parse(line: bytes) -> dict[str, str] | None:
    """What a line says, if it is one of ours."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    ours = isinstance(entry, dict) and isinstance(entry.get("file"), str)
    return entry if ours and ("output" in entry or "error" in entry) else None
