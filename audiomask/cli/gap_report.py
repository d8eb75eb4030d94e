"""``infill --report``: JSON lines, one a filled gap or a failed file, that outlive a kill."""

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from audiomask.cli.gaps import FilledGap
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, without_existing
from audiomask.errors import UsageError, why


def check_report(path: Path | None, jobs: Sequence[Job], common: Common) -> None:
    """Raise UsageError where the report cannot be, or may not replace what is there."""
    if path is None:
        return
    if str(path) == "-" or path.is_dir():
        raise UsageError(f"--report {path}: name a file")
    places = [place for job in jobs for place in (job.input.source, *job.outputs.values())]
    if os.path.realpath(path) in {os.path.realpath(place) for place in places if place != "-"}:
        raise UsageError(f"--report {path} is an input or an output: choose another name")
    if path.is_file() and not (common.overwrite or common.skip_existing):
        raise UsageError(f"{path} exists: add --overwrite or --skip-existing, or rename --report")


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

    Raises:
        UsageError: (on entering) a report to go on with is none.
        AudioFileError: (from then on) it cannot be written.
    """

    def __init__(self, path: Path | None, jobs: Sequence[Job], common: Common) -> None:
        self.path, self._jobs = path, jobs
        self._goes_on = common.skip_existing
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

    def filled(self, job: Job, gaps: Iterable[FilledGap], rate: int) -> None:
        """Add a line for each gap of a file whose output is complete but for its name."""
        place = {"file": _name(job), "output": str(job.output)}
        with self._lock:
            self._add(job, [place | _entry(gap, rate) for gap in gaps])

    def failed(self, job: Job, why: str) -> None:
        """Add the line of a file that failed, in place of what was said of it."""
        with self._lock:
            if self._lines.pop(_name(job), None) and self._lasting:
                self._rewrite()
            self._add(job, [{"file": _name(job), "error": why}])

    def _add(self, job: Job, entries: Sequence[Mapping[str, str | float]]) -> None:
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


def _entry(filled: FilledGap, rate: int) -> dict[str, str | float]:
    """What a line says of a gap; a microsecond is less than a sample."""
    gap = filled.gap
    return {
        "start": round(gap.start / rate, 6),
        "end": round(gap.stop / rate, 6),
        "seconds": round(gap.length / rate, 6),
        "kind": filled.kind,
        "method": filled.method,
    }


def _parse(line: bytes) -> dict[str, str] | None:
    """What a line says, if it is one of ours."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    ours = isinstance(entry, dict) and isinstance(entry.get("file"), str)
    return entry if ours and ("output" in entry or "error" in entry) else None
