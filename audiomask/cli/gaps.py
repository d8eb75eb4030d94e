"""The gaps that the options of infill give for a recording, and a table of them."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from audiomask.cli.gathering import Gatherer
from audiomask.errors import UsageError
from audiomask.infill.gaps import (
    MAX_GAP,
    MIN_GAP,
    Gap,
    merge_kinds,
    middle_gap,
    name_channels,
    parse_channel,
)
from audiomask.infill.gaps import parse_gap as parse_span
from audiomask.infill.labels import Label, read_labels
from audiomask.runtime.console import print_table

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.detection.surprise import Surprise
    from audiomask.infill.infiller import Filling, StemFilling
    from audiomask.infill.passages import Passage

logger = logging.getLogger(__name__)

#: finds what surprises a raw-audio model in some channels of a recording
Seek = Callable[["AudioFile", Sequence[int]], "list[Surprise]"]

#: the kind of a gap that was given by an option, not found
NAMED = "named"


class FaultKind(StrEnum):
    """The values of ``--detect-kind``."""

    silence = "silence"
    stuck = "stuck"
    nan = "nan"
    dropout = "dropout"
    click = "click"
    clipped = "clipped"
    surprise = "surprise"
    all = "all"


class FoundGap(NamedTuple):
    """A gap, its kind, and how it was filled or why not.

    Attributes:
        gap: where it is.
        kind: ``named``, or the kinds of fault found in it: ``silence+nan``.
        left: why it is not to be filled; empty if it is.
        method: how it was filled or would be; empty if it is not to be.
        filled: whether it was filled.
        passage: what it was filled with, if with a passage.
        passages: the best passages, as many as were asked for.
        level: of the filling's middle against its surroundings, in dB; NaN where that says nothing.
        stems: how each stem was filled, if by stems.
        bits: by how many its samples surprise the raw-audio model; NaN if none.
    """

    gap: Gap
    kind: str
    left: str = ""
    method: str = ""
    filled: bool = False
    passage: "Passage | None" = None
    passages: "tuple[Passage, ...]" = ()
    level: float = math.nan
    stems: "tuple[StemFilling, ...]" = ()
    bits: float = math.nan

    def filled_by(self, filling: "Filling") -> "FoundGap":
        """The gap with how it was filled."""
        return self._replace(
            method=filling.method,
            filled=True,
            passage=filling.passage,
            passages=filling.passages,
            level=filling.level,
            stems=filling.stems,
        )


class GapOptions:
    """The options of infill that give gaps.

    Args:
        spans: those of ``--gap``.
        file: a label track or CSV.
        middle: seconds of the middle to replace.
        detect: whether to detect gaps as well. They are always detected when none of the above is
            given, or kinds are.
        kinds: to detect; the default ones when empty. ``all`` is all that need no model.
        min_gap: seconds of the shortest gap detected.
        max_gap: seconds of the longest gap filled.
        channels: names of the channels to fill; all when empty.

    Raises:
        UsageError: a time is out of range, or the file cannot be read.
    """

    def __init__(
        self,
        spans: Sequence[str] = (),
        file: Path | None = None,
        middle: float | None = None,
        detect: bool = False,
        kinds: Sequence[FaultKind] = (),
        min_gap: float = MIN_GAP,
        max_gap: float = MAX_GAP,
        channels: Sequence[str] = (),
    ) -> None:
        if middle is not None and not middle > 0:
            raise UsageError("--middle takes a time of more than 0 seconds")
        if not 0 <= min_gap < math.inf:
            raise UsageError("--min-gap takes a time of 0 seconds or more")
        if not max_gap > 0:
            raise UsageError("--max-gap takes a time of more than 0 seconds")
        self.spans, self.middle, self.kinds, self.channels = spans, middle, kinds, channels
        self.min_gap, self.max_gap = min_gap, max_gap
        self._detecting = bool(detect or kinds or not (spans or file or middle is not None))
        self._labels: Sequence[Label] = ()
        if file is not None:
            found = read_labels(file)
            self._labels = found.labels
            if found.points:
                logger.warning("%s: %s", file, _passed_over(found.points))

    @property
    def seeks_surprises(self) -> bool:
        """Whether a raw-audio model is asked."""
        return FaultKind.surprise in self.kinds

    def find(self, source: "AudioFile", seek: "Seek | None" = None) -> list[FoundGap]:
        """The gaps of one recording, in order, and faults that are not to be filled.

        Those to be filled do not overlap, as ``merge_gaps`` gives them.

        Args:
            source: the recording.
            seek: finds what surprises a raw-audio model; needed where ``seeks_surprises``.

        Raises:
            UsageError: a gap that was given lies outside the recording, or in no channel of it.
        """
        chosen = self._chosen(source.channels)
        parts = [(gap, NAMED) for gap in self._named(source, chosen)]
        left: list[FoundGap] = []
        kinds: tuple[str, ...] = ()
        if self._detecting:
            from audiomask.infill.detection.detect import DEFAULT_KINDS, KINDS, detect_faults

            kinds = KINDS
            every = FaultKind.all in self.kinds
            named = [kind.value for kind in self.kinds if kind != FaultKind.surprise]
            wanted = KINDS if every else named if self.kinds else DEFAULT_KINDS
            for fault in detect_faults(source, self.min_gap, wanted, self.max_gap, chosen):
                if fault.left:
                    left.append(FoundGap(fault.gap, fault.kind, fault.left))
                else:
                    parts += [(fault.gap, kind) for kind in fault.kind.split("+")]
        surprises = [] if seek is None else seek(source, chosen)
        parts += [(one.gap, FaultKind.surprise.value) for one in surprises]
        order = (NAMED, *kinds, FaultKind.surprise.value)
        found = [
            FoundGap(gap, "+".join(sorted(there, key=order.index)), bits=_bits(gap, surprises))
            for gap, there in merge_kinds(parts, source.channels)
        ]
        return sorted([*found, *left])

    def _chosen(self, channels: int) -> tuple[int, ...]:
        """The numbers of the channels of ``--channel``; none for all."""
        numbers = {parse_channel(name, channels, "--channel") for name in self.channels}
        return () if len(numbers) == channels else tuple(sorted(numbers))

    def _named(self, source: "AudioFile", channels: tuple[int, ...]) -> list[Gap]:
        rate, frames = source.sample_rate, source.frames
        named = [parse_span(span, rate, frames) for span in self.spans]
        if self.middle is not None:
            named.append(middle_gap(self.middle, rate, frames))
        for label in self._labels:
            gap = label.gap(rate, frames, source.channels)
            if not gap.channels:
                named.append(gap)
            elif kept := sorted(set(gap.channels) & set(channels or gap.channels)):
                named.append(Gap(gap.start, gap.stop, tuple(kept)))
        return [gap if gap.channels else Gap(gap.start, gap.stop, channels) for gap in named]


class GapTable(Gatherer):
    """A table of the gaps of all files, for stderr: where they are, and how they are filled.

    Args:
        labels: the recordings' names, in order.
        other: the name of the other recording that passages may come from.
    """

    _HEADER = (
        "file", "start (s)", "end (s)", "length (ms)", "channels", "kind", "method",
        "from (s)", "distance", "correlation", "level (dB)", "surprise (bits)",
    )  # fmt: skip

    carried = ("other",)

    def __init__(self, labels: Iterable[str], other: str = "") -> None:
        self.other = other
        self._rows: dict[str, list[tuple[str, ...]]] = {label: [] for label in labels}

    def add(
        self, label: str, source: "AudioFile", found: Iterable[FoundGap], before: int = 0
    ) -> None:
        """Add a row for each gap of a recording, or one that says there is none.

        Args:
            label: the recording's name.
            source: the recording.
            found: the gaps.
            before: samples before its beginning from which on they count.
        """
        rate, rows = source.sample_rate, list[tuple[str, ...]]()
        for one in sorted(found, key=lambda one: one.gap):
            gap = one.gap
            start, stop = (gap.start - before) / rate, (gap.stop - before) / rate
            length = gap.length * 1000 / rate
            times = (f"{start:.6f}", f"{stop:.6f}", f"{length:.3f}")
            where = name_channels(gap.channels, source.channels)
            method = f"left: {one.left}" if one.left else _method_of(one, rate)
            match = ("", "", "")
            if one.passage is not None:
                own = one.passage.start - before
                place = f"{(one.passage.start if one.passage.foreign else own) / rate:.6f}"
                place = f"{self.other}: {place}" if one.passage.foreign else place
                match = (place, f"{one.passage.distance:.3f}", f"{one.passage.correlation:.3f}")
            level = "" if math.isnan(one.level) else f"{one.level:+.1f}"
            bits = "" if math.isnan(one.bits) else f"{one.bits:.1f}"
            rows.append((label, *times, where, one.kind, method, *match, level, bits))
        if not rows:
            rows.append((label, "no gaps", *[""] * (len(self._HEADER) - 2)))
        self.gather(label, rows)

    def gather(self, label: str, rows: Sequence[tuple[str, ...]]) -> None:
        """Add the rows of the recording of a name."""
        self._rows[label] = list(rows)

    def show(self) -> None:
        """Print it, without columns that are empty, unless it is empty itself."""
        rows = [row for rows in self._rows.values() for row in rows]
        shown = [
            column
            for column in range(len(self._HEADER))
            if column < 6 or any(row[column] for row in rows)
        ]
        if rows:
            print_table(
                [self._HEADER[column] for column in shown],
                [[row[column] for column in shown] for row in rows],
            )


def _method_of(found: FoundGap, rate: int) -> str:
    """How a gap was filled; stem by stem, with the place in seconds that a passage came from."""
    parts = []
    for stem in found.stems:
        place = "" if stem.passage is None else f" {stem.passage.start / rate:.3f}"
        parts.append(f"{stem.name} {stem.method}{place}")
    return f"{found.method}: {', '.join(parts)}" if parts else found.method


def _bits(gap: Gap, surprises: "Sequence[Surprise]") -> float:
    """The largest score of the surprises in a gap; NaN where there is none."""
    inside = [one.bits for one in surprises if gap.contains(one.gap)]
    return max(inside, default=math.nan)


def _passed_over(lines: Sequence[int]) -> str:
    """A message about labels that mark a moment, by the numbers of their lines."""
    shown = ", ".join(map(str, lines[:10])) + (" …" if len(lines) > 10 else "")
    if len(lines) == 1:
        return f"line {shown} marks a moment and is passed over: it has no length"
    return f"lines {shown} mark moments and are passed over: they have no length"
