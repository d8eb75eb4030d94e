"""Where a recording's gaps are, as the options of infill say, and the table of them."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from audiomask.cli.report import print_table
from audiomask.errors import UsageError

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.audio.gaps import Gap


#: seconds of the shortest gap that is found when nothing else is said
MIN_GAP = 0.01
#: the kind of a gap that was not found but named
NAMED = "named"


class Kind(StrEnum):
    """What ``--detect-kind`` takes."""

    silence = "silence"
    stuck = "stuck"
    nan = "nan"
    clipped = "clipped"
    all = "all"


@dataclass(frozen=True)
class GapChoice:
    """Where the gaps are, as the options say.

    Attributes:
        spans: of ``--gap``.
        file: a label track or CSV.
        middle: seconds of the middle to replace.
        detect: whether to look for gaps besides; they are looked for in any case when none of
            the above is given, or kinds are.
        kinds: what to look for; all but clipped runs when empty.
        min_gap: seconds of the shortest to be found.

    Raises:
        UsageError: a time cannot be.
    """

    spans: Sequence[str] = ()
    file: Path | None = None
    middle: float | None = None
    detect: bool = False
    kinds: Sequence[Kind] = ()
    min_gap: float = MIN_GAP

    def __post_init__(self) -> None:
        if self.middle is not None and not self.middle > 0:
            raise UsageError("--middle takes a time of more than 0 seconds")
        if not 0 <= self.min_gap < math.inf:
            raise UsageError("--min-gap takes a time of 0 seconds or more")

    @property
    def detecting(self) -> bool:
        """Whether gaps are looked for."""
        named = self.spans or self.file or self.middle is not None
        return bool(self.detect or self.kinds or not named)

    def find(self, source: "AudioFile") -> "dict[Gap, str]":
        """The gaps of one recording, in order, none touching another, and the kind of each.

        A gap is ``named`` or of the kinds of fault that were found in it: ``silence+nan``.

        Raises:
            UsageError: one that is named lies outside the recording.
        """
        from audiomask.audio.faults import DEFAULT_KINDS, KINDS, detect_faults
        from audiomask.audio.gaps import merge_gaps, middle_gap, parse_gap, read_gap_file

        rate, frames = source.sample_rate, source.frames
        named = [parse_gap(span, rate, frames) for span in self.spans]
        if self.file is not None:
            named += read_gap_file(self.file, rate, frames)
        if self.middle is not None:
            named.append(middle_gap(self.middle, rate, frames))
        parts = [(gap, NAMED) for gap in named]
        if self.detecting:
            wanted = KINDS if Kind.all in self.kinds else self.kinds or DEFAULT_KINDS
            faults = detect_faults(source, self.min_gap, [str(kind) for kind in wanted])
            parts += [(fault.gap, kind) for fault in faults for kind in fault.kind.split("+")]
        merged = merge_gaps(gap for gap, _ in parts)
        starts = [gap.start for gap in merged]
        kinds: list[set[str]] = [set() for _ in merged]
        for gap, kind in parts:
            kinds[bisect_right(starts, gap.start) - 1].add(kind)
        order = (NAMED, *KINDS)
        return {
            gap: "+".join(sorted(found, key=order.index))
            for gap, found in zip(merged, kinds, strict=True)
        }


class FilledGap(NamedTuple):
    """A gap, what it is, and how it was filled."""

    gap: "Gap"
    kind: str
    method: str


class GapTable:
    """The gaps of all files, shown on stderr.

    Args:
        filled: whether it also tells how they were filled.
        labels: the recordings' names, in the order in which they are shown.
    """

    def __init__(self, filled: bool, labels: Iterable[str]) -> None:
        self._filled = filled
        self._rows: dict[str, list[tuple[str, ...]]] = {label: [] for label in labels}

    def add(self, label: str, rate: int, gap: "Gap", kind: str, method: str = "") -> None:
        """A row for a gap of the recording of that name and sample rate."""
        start, stop = gap.start / rate, gap.stop / rate
        length = gap.length * 1000 / rate
        self._add(label, f"{start:.6f}", f"{stop:.6f}", f"{length:.3f}", kind, method)

    def add_none(self, label: str) -> None:
        """A row for a recording without gaps."""
        self._add(label, "no gaps", "", "", "", "")

    def show(self) -> None:
        """Print it, unless it is empty."""
        header = ("file", "start (s)", "end (s)", "length (ms)", "kind", "method")
        if rows := [row for rows in self._rows.values() for row in rows]:
            print_table([header if self._filled else header[:-1], *rows])

    def _add(self, *cells: str) -> None:
        self._rows[cells[0]].append(cells if self._filled else cells[:-1])
