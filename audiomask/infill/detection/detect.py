"""Fault detection: dropouts and damage found in a recording's samples.

A recording is read once, block by block, and again around possible faults. Channels are examined
one by one. There are six kinds of fault:

- ``silence``: the channel is exactly 0 (in lossy files: inaudibly near 0);
- ``stuck``: it repeats one value that is not 0, as a hanging converter or link does;
- ``nan``: it is not a finite number;
- ``dropout``: its level falls far below its surroundings, and rises again (``dropouts``);
- ``click``: an impulse or burst of a few samples (``clicks``);
- ``clipped``: it stays at or beyond full scale.

Silence, stuck samples and dropouts that interrupt the sound are faults. Those that the sound fades
into or out of, or after which it begins anew, are rests and stay (``rests``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audiomask.audio.files import AudioFile
from audiomask.audio.pcm import Raw
from audiomask.audio.source import AudioSource
from audiomask.infill.detection.clicks import LONGEST, ClickDetector
from audiomask.infill.detection.dropouts import Dip, DipDetector, exact_edges
from audiomask.infill.detection.exact import JOIN, ExactDetector, finite, levels_of
from audiomask.infill.detection.rests import is_dropout, is_rest
from audiomask.infill.detection.runs import Spans
from audiomask.infill.gaps import Gap, merge_kinds

KINDS = ("silence", "stuck", "nan", "dropout", "click", "clipped")
#: without clipping, which loud masters have on purpose, and clicks, which some instruments and
#: effects sound like
DEFAULT_KINDS = KINDS[:4]
#: why something found is not a fault
REST, LONG = "rest", "longer than --max-gap"

#: kinds that may be rests
_QUIET = {"silence", "stuck"}
#: seconds by which a dip may differ from a known fault and still be the same
_SAME = 0.002
#: level, in dB of full scale, below which a dropout of a lossy file is silence
_LOSSY_DROPOUT = -90.0
BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True)
class Fault:
    """A fault, or a span that resembles one.

    Attributes:
        gap: its samples and channels.
        kind: one of ``KINDS``, or several joined by ``+``, in that order: ``silence+nan``.
        left: why it is not a fault, ``REST`` or ``LONG``; empty if it is one.
    """

    gap: Gap
    kind: str
    left: str = ""


def detect_faults(
    source: AudioSource,
    min_gap: float = 0.004,
    kinds: Collection[str] = DEFAULT_KINDS,
    max_gap: float = 1.0,
    channels: Sequence[int] = (),
) -> list[Fault]:
    """Find the faults of a recording.

    Silence and stuck samples are faults between sound; at the start and end of a recording they
    are its lead-in and lead-out. The sound must also jump into or out of them: quiet sound that was
    rounded without dither stays on 0 and its neighbours as long as a dropout lasts. (Silence of
    lossy files is searched for as dropouts are, since coding smears edges.)

    Samples that are not finite are always a fault. So is clipping: four samples in a row at or
    beyond the subtype's largest value; at that of 16 bits for deeper and floating subtypes, whose
    sound may have been clipped at 16 bits; 0.98 in lossy files. A constant at full scale is stuck
    only after 25 ms.

    Faults of a channel that touch, overlap, or have at most two samples between them become one, as
    do those of several channels at nearly the same time.

    Args:
        source: the recording.
        min_gap: seconds; shorter silence, stuck samples and dropouts count as sound. It does not
            apply to samples that are not finite, to clipping or to clicks.
        kinds: which of ``KINDS`` to look for; others count as sound.
        max_gap: seconds; longer silence, stuck samples and dropouts are ``LONG``.
        channels: numbers of the channels to examine; all when empty.

    Returns:
        Faults, rests and long spans, in order. Faults of a channel do not touch each other.

    Raises:
        ValueError: a kind is unknown.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"unknown kinds of fault: {', '.join(sorted(unknown))}")
    rows = list(channels or range(source.channels))
    detector = _Detector(source, min_gap, kinds, rows, max_gap)
    read = _reader(source)
    block = max(BLOCK_SAMPLES // source.channels, 1)
    for start in range(0, source.frames, block):
        samples = read(start, min(start + block, source.frames))
        detector.push(samples if len(rows) == source.channels else samples[:, rows])
    return detector.finish()


class _Detector:
    """Runs all detectors on a recording's blocks, and merges what they find.

    Args:
        rows: numbers of the channels in the blocks.
    """

    def __init__(
        self,
        source: AudioSource,
        min_gap: float,
        kinds: Collection[str],
        rows: Sequence[int],
        max_gap: float,
    ) -> None:
        self.source, self.kinds, self.rows, self.max_gap = source, kinds, rows, max_gap
        self.frames, self.rate = source.frames, source.sample_rate
        self.levels = levels_of(source)
        # rounding errors: 0.0099 s at 10 kHz are 99 samples
        self.shortest = max(math.ceil(round(min_gap * self.rate, 6)), 1)
        self.lossy = self.levels.silence > 0
        self.done = 0  # samples seen
        self.channels = [
            ExactDetector(source, self.levels, self.shortest, kinds, self.lossy) for _ in rows
        ]
        dips = "dropout" in kinds or (self.lossy and "silence" in kinds)
        self._dips = DipDetector(self.rate, len(rows), max_gap) if dips else None
        self.clicks = [ClickDetector(self.rate) for _ in rows] if "click" in kinds else []
        self.found: list[Dip] = []
        self._clicked: list[tuple[Gap, str]] = []

    def push(self, samples: Raw) -> None:
        """Examine the next block [n, C], as it is stored."""
        for channel, detector in enumerate(self.channels):
            detector.push(samples[:, channel], self.done)
        if self._dips is not None or self.clicks:
            sound = _sound(samples)
            if self._dips is not None:
                self.found += self._dips.push(sound)
            for column, clicks in enumerate(self.clicks):
                self._clicked += _as_clicks(clicks.push(sound[:, column]), self.rows[column])
        self.done += len(samples)

    def finish(self) -> list[Fault]:
        """All faults, at the recording's end."""
        parts = [
            (Gap(start, stop, (row,)), kind)
            for row, detector in zip(self.rows, self.channels, strict=True)
            for start, stop, kind in detector.finish(self.done)
        ]
        found: list[Fault] = []
        certain = [part for part in parts if part[1] not in _QUIET]
        for fault in _merged(parts, self.source):
            kinds = set(fault.kind.split("+"))
            reason = self._reason(fault.gap) if kinds & _QUIET and "clipped" not in kinds else ""
            if not reason:
                found.append(fault)
            else:  # other faults within a rest stay faults
                found.append(Fault(fault.gap, _join_kinds(kinds & _QUIET), reason))
                found += _merged([p for p in certain if fault.gap.contains(p[0])], self.source)
        if self._dips is not None:
            self.found += self._dips.finish()
            found += self._dropouts(found)
        for column, clicks in enumerate(self.clicks):
            self._clicked += _as_clicks(clicks.finish(), self.rows[column])
        # the edges of other faults click
        found += [
            click
            for click in _merged(self._clicked, self.source)
            if not any(_is_near(click.gap, other.gap) for other in found)
        ]
        return _resolved(found, self.source.channels)

    def _reason(self, gap: Gap) -> str:
        """Why a silence is not a fault; empty if it is one."""
        numbers = gap.channel_numbers(self.source.channels)
        if reason := self._long(gap):
            return reason
        return REST if is_rest(self.source, gap.start, gap.stop, numbers) else ""

    def _long(self, gap: Gap) -> str:
        return LONG if gap.length > self.max_gap * self.rate else ""

    def _dropouts(self, known: Sequence[Fault]) -> list[Fault]:
        """Faults from dips, without those that are known already."""
        near = round(_SAME * self.rate)
        found: list[Fault] = []
        for dip in sorted(self.found, key=lambda dip: dip.channel):  # first those of all channels
            kind = "silence" if self.lossy and dip.level < _LOSSY_DROPOUT else "dropout"
            numbers = tuple(self.rows) if dip.channel < 0 else (self.rows[dip.channel],)
            edges = exact_edges(self.source, dip, numbers)
            if kind not in self.kinds or edges is None or edges[1] - edges[0] < self.shortest:
                continue
            gap = Gap(*edges, () if len(numbers) == self.source.channels else numbers)
            same = [
                fault.gap
                for fault in (*known, *found)
                if fault.gap.shares_channel(gap)
                and fault.gap.start <= gap.start + near
                and gap.stop - near <= fault.gap.stop
            ]
            if same:
                continue
            if is_dropout(self.source, *edges, numbers, dip.level):
                found.append(Fault(gap, kind, self._long(gap)))
        return found


def _reader(source: AudioSource) -> Callable[[int, int], Raw]:
    """A function that reads samples [start, stop) as they are stored, [n, C]."""
    if isinstance(source, AudioFile):
        return source.read_raw
    return lambda start, stop: source.read(start, stop).T.numpy()


def _sound(samples: Raw) -> Raw:
    """Stored samples as float32 of full scale 1; what is not finite becomes 0."""
    if samples.dtype == np.int32:
        return (samples * np.float32(2.0**-31)).astype(np.float32)
    return np.where(finite(samples), samples, 0).astype(np.float32)


def _merged(parts: Iterable[tuple[Gap, str]], source: AudioSource) -> list[Fault]:
    """Faults from gaps and their kinds, merged as ``merge_gaps`` does."""
    # up to JOIN samples between two spans are filled with them
    wide = [(Gap(gap.start, gap.stop + JOIN, gap.channels), kind) for gap, kind in parts]
    return [
        Fault(Gap(gap.start, gap.stop - JOIN, gap.channels), _join_kinds(kinds))
        for gap, kinds in merge_kinds(wide, source.channels)
    ]


def _resolved(found: Sequence[Fault], channels: int) -> list[Fault]:
    """Faults in order, merged where they overlap, and the rests that lie in none of them."""
    parts = [(f.gap, kind) for f in found if not f.left for kind in f.kind.split("+")]
    faults = [Fault(gap, _join_kinds(kinds)) for gap, kinds in merge_kinds(parts, channels)]
    left = [f for f in found if f.left and not any(_is_mostly_inside(f.gap, o.gap) for o in faults)]
    return sorted([*faults, *left], key=lambda fault: fault.gap)


def _as_clicks(found: Spans, row: int) -> list[tuple[Gap, str]]:
    """The clicks of a channel as gaps and kinds."""
    return [(Gap(start, stop, (row,)), "click") for start, stop in found.tolist()]


def _is_near(gap: Gap, other: Gap) -> bool:
    """Whether two gaps in a common channel are closer than a click is long."""
    apart = max(gap.start, other.start) - min(gap.stop, other.stop)
    return apart < LONGEST and gap.shares_channel(other)


def _is_mostly_inside(gap: Gap, other: Gap) -> bool:
    """Whether most of a gap lies in another."""
    common = min(gap.stop, other.stop) - max(gap.start, other.start)
    return gap.shares_channel(other) and 2 * common > gap.length


def _join_kinds(kinds: Collection[str]) -> str:
    """Kinds joined by ``+``, in their order."""
    return "+".join(kind for kind in KINDS if kind in kinds)
