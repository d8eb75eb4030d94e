"""Labels: lists of gaps in files of other programs, and Audacity label tracks of found gaps.

Readable are Audacity's label tracks (``start<TAB>end<TAB>label``), CSV with or without a header,
and exports of Reaper (regions and markers) and Audition (markers).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiomask.errors import UsageError, why
from audiomask.infill.gaps import Gap, gap_from_seconds, name_channels, parse_channel, parse_time

_LONGEST_LINE = 4096
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# the channels at the end of a label, as in ``silence [left]``
_CHANNELS = re.compile(r"\[(left|right|[0-9]+(?:\+[0-9]+)*)\]\s*$")
# commas both as separators and as decimal points
_TWO_COMMAS = re.compile(r"\s*[0-9]+,[0-9]+,[0-9]+,[0-9]+\s*")


@dataclass(frozen=True)
class Label:
    """A span of time in a file of gaps.

    Attributes:
        where: the file and the line, for messages.
        start, end: seconds.
        channels: names of its channels as written; empty for all.
    """

    where: str
    start: float
    end: float
    channels: tuple[str, ...] = ()

    def gap(self, sample_rate: int, frames: int, channels: int) -> Gap:
        """The gap in a recording of that sample rate, length in samples, and number of channels.

        Raises:
            UsageError: it lies outside the recording.
        """
        gap = gap_from_seconds(self.start, self.end, sample_rate, frames, self.where)
        numbers = {parse_channel(name, channels, self.where) for name in self.channels}
        return Gap(gap.start, gap.stop, () if len(numbers) == channels else tuple(sorted(numbers)))


@dataclass(frozen=True)
class _LabelFile:
    """The contents of a file of gaps.

    Attributes:
        labels: its spans, in the file's order.
        points: line numbers of labels without a length.
    """

    labels: Sequence[Label]
    points: Sequence[int]


def read_labels(path: Path) -> _LabelFile:
    """Read a file of gaps: a label track, or CSV with tabs, semicolons or commas.

    The first two columns are start and end, unless a header names them (``start`` and ``end``, or
    ``start`` and ``duration``). Times are seconds, m:s or h:m:s, with a decimal point or comma.
    Empty lines and lines that begin with ``#`` or ``\\`` (Audacity's frequency ranges) are skipped.
    A label that ends with ``[left]``, ``[right]`` or numbers as in ``[1+3]`` applies to these
    channels only.

    Raises:
        UsageError: the file cannot be read, has no gaps, or a line is wrong (the message gives its
            number).
    """
    labels: list[Label] = []
    points: list[int] = []
    columns = _Columns(named=False)
    for number, line in _lines(path):
        where = f"{path}: line {number}"
        fields = [field.strip() for field in _split(line, where)]
        header = None if labels or points else _header(fields)
        if header is not None:
            columns = header
            continue
        if line.startswith(("#", "\\")):
            continue
        if not columns.named and _TWO_COMMAS.fullmatch(line):
            raise UsageError(
                f"{where}: commas in numbers and between them: put semicolons or tabs between"
            )
        label = columns.label(fields, where)
        if label.start == label.end:
            points.append(number)
        elif label.start > label.end:
            raise UsageError(f"{where}: ends before it begins")
        else:
            labels.append(label)
    if not labels:
        found = "only labels without a length" if points else "no gaps"
        raise UsageError(f"{path}: names {found}")
    return _LabelFile(labels, points)


def write_labels(
    path: Path, spans: Iterable[tuple[Gap, str]], sample_rate: int, channels: int
) -> None:
    """Write an Audacity label track, which ``read_labels`` reads back as the same gaps.

    Args:
        path: an existing file is replaced.
        spans: gaps and their kinds.
        sample_rate: samples a second.
        channels: of the recording.
    """
    from audiomask.audio.atomic import AtomicFile

    lines = []
    for gap, kind in spans:
        there = name_channels(gap.channels, channels)
        text = kind if there == "all" else f"{kind} [{there}]"
        # finer than a sample at any rate
        lines.append(f"{gap.start / sample_rate:.9f}\t{gap.stop / sample_rate:.9f}\t{text}\n")
    with AtomicFile(path, overwrite=True) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


@dataclass(frozen=True)
class _Columns:
    """The columns of a file of gaps.

    Attributes:
        start, end: column numbers.
        lengths: whether the end's column holds lengths.
        named: whether a header names them.
    """

    start: int = 0
    end: int = 1
    lengths: bool = False
    named: bool = True

    def label(self, fields: Sequence[str], where: str) -> Label:
        """The label of a line.

        Raises:
            UsageError: a time is missing or malformed.
        """
        if len(fields) <= max(self.start, self.end):
            raise UsageError(f"{where}: expected a start and an end in seconds")
        start = parse_time(fields[self.start], where)
        # Reaper leaves the end of a marker empty
        moment = self.named and not fields[self.end]
        end = start if moment else parse_time(fields[self.end], where)
        if self.lengths and not moment:
            end += start
        found = _CHANNELS.search(fields[-1])
        return Label(where, start, end, tuple(found[1].split("+")) if found else ())


def _header(fields: Sequence[str]) -> _Columns | None:
    """The columns that a header names, if it is one."""
    names = [field.lstrip("#").strip().lower() for field in fields]
    if "start" not in names:
        return None
    start = names.index("start")
    for name, lengths in (("end", False), ("duration", True), ("length", True)):
        if name in names:
            return _Columns(start, names.index(name), lengths)
    return None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and text of the lines that are not empty, read one at a time."""
    try:
        with path.open("rb") as binary:
            beginning = binary.read(4)
        # only letters of labels may be invalid UTF-8
        with path.open(encoding=_encoding(beginning), errors="replace", newline=None) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if "\0" in line:
                    raise UsageError(f"{path}: is not a text file of gaps")
                if len(line) == _LONGEST_LINE:
                    raise UsageError(f"{path}: line {number}: is too long for a gap")
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeError as error:
        raise UsageError(f"{path}: is not a text file of gaps") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {why(error)}") from error


def _encoding(beginning: bytes) -> str:
    """The encoding of a text, by its first bytes, of which the first is likely a digit."""
    for mark, encoding in _BOMS:
        if beginning.startswith(mark):
            return encoding
    if len(beginning) >= 2 and not beginning[0] + beginning[1]:
        return "utf-8"  # not a text
    if beginning[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if beginning[:1] == b"\0" else "utf-8"


def _split(line: str, where: str) -> list[str]:
    if "\t" in line:
        return line.split("\t")
    try:
        return next(csv.reader([line], delimiter=";" if ";" in line else ",", strict=True))
    except csv.Error as error:
        if line.startswith(("#", "\\")):
            return []
        raise UsageError(f"{where}: is not CSV: {error}") from error
