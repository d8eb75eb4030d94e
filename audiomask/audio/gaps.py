"""Gaps: spans of samples to fill, and how users name them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiomask.errors import UsageError, why

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
#: a gap may pass the end of the file by this many seconds; it is then cut there
_OVERHANG = 0.01
_LONGEST_LINE = 4096


@dataclass(frozen=True, order=True)
class Gap:
    """The span of samples [start, stop).

    Raises:
        ValueError: it is empty or begins before the file.
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"not a span of samples: [{self.start}, {self.stop})")

    @property
    def length(self) -> int:
        """Samples in the gap."""
        return self.stop - self.start


def parse_gap(text: str, sample_rate: int, frames: int) -> Gap:
    """A gap from ``START:END`` in seconds, such as ``1.5:2.25``.

    Args:
        text: what the user wrote.
        sample_rate: samples a second of the file.
        frames: its samples per channel.

    Raises:
        UsageError: it is not of that form, empty, or outside the file.
    """
    start, colon, end = text.partition(":")
    if not colon:
        raise UsageError(f"gap {text!r}: write START:END in seconds, such as 1.5:2.25")
    return _gap_from_seconds(start, end, sample_rate, frames, f"gap {text!r}")


def read_gap_file(path: Path, sample_rate: int, frames: int) -> list[Gap]:
    """Gaps from an Audacity label track or a CSV file, sorted and joined where they overlap.

    A label track has ``start<TAB>end<TAB>label`` a line. CSV has the start and end in its first
    two columns, or where a header names ``start`` and ``end``. Times are seconds. Empty lines and
    lines that begin with ``#`` or ``\\`` (Audacity's frequency ranges) are passed over.

    Raises:
        UsageError: the file cannot be read, names no gap, or a line is wrong (its number is told).
    """
    gaps: list[Gap] = []
    columns = (0, 1)
    for number, line in _lines(path):
        where = f"{path}: line {number}"
        fields = [field.strip() for field in _split(line, where)]
        names = [field.lower() for field in fields]
        if not gaps and "start" in names and "end" in names:
            columns = (names.index("start"), names.index("end"))
            continue
        if len(fields) <= max(columns):
            raise UsageError(f"{where}: expected a start and an end in seconds")
        start, end = (fields[column] for column in columns)
        gaps.append(_gap_from_seconds(start, end, sample_rate, frames, where))
    if not gaps:
        raise UsageError(f"{path}: names no gaps")
    return merge_gaps(gaps)


def middle_gap(seconds: float, sample_rate: int, frames: int) -> Gap:
    """The central span of a file.

    Raises:
        UsageError: it is empty, or no sound would be left on its sides.
    """
    length = round(seconds * sample_rate) if math.isfinite(seconds) else 0
    if length < 1:
        raise UsageError(f"a middle of {seconds:g} s is not even one sample")
    if length > frames - 2:
        raise UsageError(
            f"a middle of {seconds:g} s leaves nothing of a file of {frames / sample_rate:.3f} s"
        )
    start = (frames - length) // 2
    return Gap(start, start + length)


def merge_gaps(gaps: Iterable[Gap]) -> list[Gap]:
    """Sort gaps, and join those that touch or overlap."""
    merged: list[Gap] = []
    for gap in sorted(gaps):
        if merged and gap.start <= merged[-1].stop:
            merged[-1] = Gap(merged[-1].start, max(merged[-1].stop, gap.stop))
        else:
            merged.append(gap)
    return merged


def _gap_from_seconds(start: str, end: str, sample_rate: int, frames: int, where: str) -> Gap:
    spans = []
    for text in (start, end):
        if len(text) > 32 or not _NUMBER.fullmatch(text.strip()):
            raise UsageError(f"{where}: {text.strip()[:32]!r} is not a time in seconds")
        spans.append(math.floor(float(text) * sample_rate + 0.5))
    first, last = spans
    length = f"the file lasts {frames / sample_rate:.3f} s"
    if last > frames + _OVERHANG * sample_rate or first >= frames:
        raise UsageError(f"{where}: lies beyond the end; {length}")
    last = min(last, frames)
    if first >= last:
        raise UsageError(f"{where}: ends before it begins, or where it begins")
    return Gap(first, last)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with something on them and their numbers, without holding the file in memory."""
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise UsageError(f"{path}: line {number}: is too long for a gap")
                if line.strip() and not line.startswith(("#", "\\")):
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not a text file of gaps") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {why(error)}") from error


def _split(line: str, where: str) -> list[str]:
    if "\t" in line:
        return line.split("\t")
    try:
        return next(csv.reader([line], delimiter=";" if ";" in line else ",", strict=True))
    except csv.Error as error:
        raise UsageError(f"{where}: is not CSV: {error}") from error
