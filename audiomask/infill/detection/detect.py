"""Faults: dropouts and damage that a recording's own samples give away.

A recording is read once, block by block, and then once more around what may be a fault. Every
channel is looked at by itself. Six kinds of fault are told apart:

- ``silence``: the channel is exactly 0 (in lossy files: inaudibly near 0);
- ``stuck``: it holds one value that is not 0: a converter or a link that hangs;
- ``nan``: it is not a finite number;
- ``dropout``: its level falls far below its surroundings, and rises again (``dropouts``);
- ``click``: a few samples are torn out of the sound (``clicks``);
- ``clipped``: it stays at or beyond full scale.

Silence, stuck samples and dropouts that break off the sound are faults; those that it fades into,
out of, or begins anew behind, are rests and left alone (``rests``).
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
#: clipping is left alone unless asked for: loud masters are full of it, on purpose; so are clicks,
#: which some instruments and effects sound like
DEFAULT_KINDS = KINDS[:4]
#: why something is left alone
REST, LONG = "rest", "longer than --max-gap"

#: what may be a rest
_QUIET = {"silence", "stuck"}
#: what is nearer than so many seconds to a run that was judged is that run
_SAME = 0.002
#: decibels of full scale below which a dropout of a lossy file is silence
_LOSSY_DROPOUT = -90.0
_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True)
class Fault:
    """A span that is to be filled, or looks as if it were, and why.

    Attributes:
        gap: where it is, and in which channels.
        kind: one of ``KINDS``, or several joined by ``+``, in that order: ``silence+nan``.
        left: why it is left alone, ``REST`` or ``LONG``; empty if it is a fault.
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
    """Find what is broken in a recording.

    Silence and stuck samples are faults where there is sound before and after them: at the start
    and end of a recording they are its lead-in and lead-out. They must be entered or left by a
    jump, too: quiet sound that was rounded without dither comes to rest on 0 and its neighbours,
    one step away, as long as a dropout lasts. (Silence in lossy files is looked for as dropouts
    are, for their coding smears edges.)

    What is not finite is a fault anywhere, as is clipping: four samples of a channel in a row at
    the largest value of the subtype, or beyond; at that of 16 bits in deeper and floating
    subtypes, for that is where sound that was clipped at 16 bits lies in them; 0.98 in lossy
    files. A constant at full scale is taken for stuck only after 25 ms.

    Faults of a channel that touch or overlap, or have but two samples of sound between them, are
    one, as are those of several channels at nearly the same time.

    Args:
        source: where to look.
        min_gap: seconds; shorter silence, stuck samples and dropouts are taken for sound. It
            does not apply to what is not finite, which is never sound, nor to clipping and clicks,
            which are shorter by nature.
        kinds: which of ``KINDS`` to look for. What is not looked for is taken for sound.
        max_gap: seconds; longer silence, stuck samples and dropouts are left alone.
        channels: numbers of the channels to look at; all when empty.

    Returns:
        What was found, in order. Faults of a channel do not touch each other.

    Raises:
        ValueError: a kind is unknown.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"unknown kinds of fault: {', '.join(sorted(unknown))}")
    rows = list(channels or range(source.channels))
    detector = _Detector(source, min_gap, kinds, rows, max_gap)
    read = _reader(source)
    block = max(_BLOCK_SAMPLES // source.channels, 1)
    for start in range(0, source.frames, block):
        samples = read(start, min(start + block, source.frames))
        detector.push(samples if len(rows) == source.channels else samples[:, rows])
    return detector.finish()


class _Detector:
    """What a recording's blocks hold, put together to faults.

    Args:
        rows: numbers of the channels that the blocks have.
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
        # 0.0099 s at 10 kHz are 99 samples, though their product is a little more
        self.shortest = max(math.ceil(round(min_gap * self.rate, 6)), 1)
        self.lossy = self.levels.silence > 0
        self.done = 0  # samples seen
        self.channels = [
            ExactDetector(source, self.levels, self.shortest, kinds, self.lossy) for _ in rows
        ]
        dips = "dropout" in kinds or (self.lossy and "silence" in kinds)
        self.dips = DipDetector(self.rate, len(rows), max_gap) if dips else None
        self.clicks = [ClickDetector(self.rate) for _ in rows] if "click" in kinds else []
        self.found: list[Dip] = []
        self.clicked: list[tuple[Gap, str]] = []

    def push(self, samples: Raw) -> None:
        """Look at the next block [n, C], as it is stored."""
        for channel, detector in enumerate(self.channels):
            detector.push(samples[:, channel], self.done)
        if self.dips is not None or self.clicks:
            sound = _sound(samples)
            if self.dips is not None:
                self.found += self.dips.push(sound)
            for column, clicks in enumerate(self.clicks):
                self.clicked += _as_clicks(clicks.push(sound[:, column]), self.rows[column])
        self.done += len(samples)

    def finish(self) -> list[Fault]:
        """All faults, now that the recording has been seen to its end."""
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
            else:  # what is broken in a rest is broken all the same
                found.append(Fault(fault.gap, _join_kinds(kinds & _QUIET), reason))
                found += _merged([p for p in certain if fault.gap.contains(p[0])], self.source)
        if self.dips is not None:
            self.found += self.dips.finish()
            found += self._dropouts(found)
        for column, clicks in enumerate(self.clicks):
            self.clicked += _as_clicks(clicks.finish(), self.rows[column])
        # where sound breaks off, it clicks
        found += [
            click
            for click in _merged(self.clicked, self.source)
            if not any(_is_near(click.gap, other.gap) for other in found)
        ]
        return _resolved(found, self.source.channels)

    def _reason(self, gap: Gap) -> str:
        """Why a silence is left alone; empty if it is not."""
        numbers = gap.channel_numbers(self.source.channels)
        if reason := self._long(gap):
            return reason
        return REST if is_rest(self.source, gap.start, gap.stop, numbers) else ""

    def _long(self, gap: Gap) -> str:
        return LONG if gap.length > self.max_gap * self.rate else ""

    def _dropouts(self, known: Sequence[Fault]) -> list[Fault]:
        """Faults from dips, but for what is known already."""
        near = round(_SAME * self.rate)
        found: list[Fault] = []
        for dip in sorted(self.found, key=lambda dip: dip.channel):  # all together first
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
    """How to read samples [n, C] as they are stored."""
    if isinstance(source, AudioFile):
        return source.read_raw
    return lambda start, stop: source.read(start, stop).T.numpy()


def _sound(samples: Raw) -> Raw:
    """Stored samples as float32 of full scale 1, what is not finite as 0."""
    if samples.dtype == np.int32:
        return (samples * np.float32(2.0**-31)).astype(np.float32)
    return np.where(finite(samples), samples, 0).astype(np.float32)


def _merged(parts: Iterable[tuple[Gap, str]], source: AudioSource) -> list[Fault]:
    """Faults from spans of channels and their kinds, one where they touch or are alike."""
    # two samples of sound are none: spans as near as that touch
    wide = [(Gap(gap.start, gap.stop + JOIN, gap.channels), kind) for gap, kind in parts]
    return [
        Fault(Gap(gap.start, gap.stop - JOIN, gap.channels), _join_kinds(kinds))
        for gap, kinds in merge_kinds(wide, source.channels)
    ]


def _resolved(found: Sequence[Fault], channels: int) -> list[Fault]:
    """Faults in order, one where they overlap, without rests that lie in one."""
    parts = [(f.gap, kind) for f in found if not f.left for kind in f.kind.split("+")]
    faults = [Fault(gap, _join_kinds(kinds)) for gap, kinds in merge_kinds(parts, channels)]
    left = [f for f in found if f.left and not any(_is_mostly_inside(f.gap, o.gap) for o in faults)]
    return sorted([*faults, *left], key=lambda fault: fault.gap)


def _as_clicks(found: Spans, row: int) -> list[tuple[Gap, str]]:
    """The clicks of a channel."""
    return [(Gap(start, stop, (row,)), "click") for start, stop in found.tolist()]


def _is_near(gap: Gap, other: Gap) -> bool:
    """Whether gaps are nearer to each other than a click is long, in a channel of both."""
    apart = max(gap.start, other.start) - min(gap.stop, other.stop)
    return apart < LONGEST and gap.shares_channel(other)


def _is_mostly_inside(gap: Gap, other: Gap) -> bool:
    """Whether most of a gap lies in another."""
    common = min(gap.stop, other.stop) - max(gap.start, other.start)
    return gap.shares_channel(other) and 2 * common > gap.length


def _join_kinds(kinds: Collection[str]) -> str:
    """Kinds as one word, in their order."""
    return "+".join(kind for kind in KINDS if kind in kinds)
