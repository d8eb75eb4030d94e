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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audiomask.audio.clicks import ClickFinder
from audiomask.audio.dropouts import Dip, DipFinder, edges_of
from audiomask.audio.files import AudioFile
from audiomask.audio.gaps import Gap, merge_kinds
from audiomask.audio.pcm import BITS, Raw
from audiomask.audio.rests import is_dropout, is_rest
from audiomask.audio.runs import Mask, Rests, Runs, Spans, join_spans
from audiomask.audio.source import AudioSource

KINDS = ("silence", "stuck", "nan", "dropout", "click", "clipped")
#: clipping is left alone unless asked for: loud masters are full of it, on purpose; so are clicks,
#: which some instruments and effects sound like
DEFAULT_KINDS = KINDS[:4]
#: why something is left alone
REST, LONG = "rest", "longer than --max-gap"

#: So many samples of sound or fewer between two faults are filled with them. Longer slivers are
#: worth keeping, for true samples between clipped crests are what the crests are guessed from:
#: in music clipped 6 dB down, filled by autoregression, joining over 4 samples or 1 ms lost up to
#: 6 dB, over 2 ms up to 19 dB.
JOIN = 2
#: One sample or two at full scale are the peak of a normalised recording, not a cut crest.
SHORTEST_CLIPPED = 4
#: Fewer equal samples than these are sound, whatever is asked for.
SHORTEST_STUCK = 8
#: Seconds at full scale after which a crest is none, but a converter that hangs there: half a
#: period of 20 Hz.
LONGEST_CREST = 0.025

#: what may be a rest
_QUIET = {"silence", "stuck"}
#: what is nearer than so many seconds to a run that was judged is that run
_SAME = 0.002
#: decibels of full scale below which a dropout of a lossy file is silence
_LOSSY_DROPOUT = -90.0
_BLOCK_SAMPLES = 1 << 16
# Decoders of lossy codings give digital silence back as less than half a step of 16 bits,
_LOSSY_SILENCE = 2.0**-16
# and what was cut at full scale as a ripple about it. µ-law and A-law end at 0.98, too.
_LOSSY_FULL = 0.98
# The smallest steps of µ-law and A-law reach up to here.
_LOSSY_STEP = 2.0**-10
_LARGEST_FLOAT = float(np.finfo(np.float32).max)

_Span = tuple[int, int, str]


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
    min_gap: float = 0.01,
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
    finder = _Finder(source, min_gap, kinds, rows, max_gap)
    read = _reader(source)
    block = max(_BLOCK_SAMPLES // source.channels, 1)
    for start in range(0, source.frames, block):
        samples = read(start, min(start + block, source.frames))
        finder.push(samples if len(rows) == source.channels else samples[:, rows])
    return finder.finish()


class _Finder:
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
        self.levels = _levels(source)
        # 0.0099 s at 10 kHz are 99 samples, though their product is a little more
        self.shortest = max(math.ceil(round(min_gap * self.rate, 6)), 1)
        self.lossy = self.levels.silence > 0
        self.done = 0  # samples seen
        self.channels = [
            _ChannelFinder(source, self.levels, self.shortest, kinds, self.lossy) for _ in rows
        ]
        dips = "dropout" in kinds or (self.lossy and "silence" in kinds)
        self.dips = DipFinder(self.rate, len(rows), max_gap) if dips else None
        self.clicks = [ClickFinder(self.rate) for _ in rows] if "click" in kinds else []
        self.found: list[Dip] = []

    def push(self, samples: Raw) -> None:
        """Look at the next block [n, C], as it is stored."""
        for channel, finder in enumerate(self.channels):
            finder.push(samples[:, channel], self.done)
        if self.dips is not None or self.clicks:
            sound = _sound(samples)
            if self.dips is not None:
                self.found += self.dips.push(sound)
            for channel, clicks in enumerate(self.clicks):
                self.channels[channel].add("click", clicks.push(sound[:, channel]))
        self.done += len(samples)

    def finish(self) -> list[Fault]:
        """All faults, now that the recording has been seen to its end."""
        for channel, clicks in enumerate(self.clicks):
            self.channels[channel].add("click", clicks.finish())
        parts = [
            (Gap(start, stop, (row,)), kind)
            for row, finder in zip(self.rows, self.channels, strict=True)
            for start, stop, kind in finder.finish(self.done)
        ]
        found: list[Fault] = []
        certain = [part for part in parts if part[1] not in _QUIET]
        for fault in _together(parts, self.source):
            kinds = set(fault.kind.split("+"))
            reason = self._reason(fault.gap) if kinds & _QUIET and "clipped" not in kinds else ""
            if not reason:
                found.append(fault)
            else:  # what is broken in a rest is broken all the same
                found.append(Fault(fault.gap, _named(kinds & _QUIET), reason))
                found += _together([p for p in certain if fault.gap.holds(p[0])], self.source)
        if self.dips is not None:
            self.found += self.dips.finish()
            found += self._dropouts(found)
        return _united(found, self.source.channels)

    def _reason(self, gap: Gap) -> str:
        """Why a silence is left alone; empty if it is not."""
        numbers = gap.among(self.source.channels)
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
            edges = edges_of(self.source, dip, numbers)
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


class _ChannelFinder:
    """Runs of what is exactly silent, stuck, not finite or clipped in one channel."""

    def __init__(
        self,
        source: AudioSource,
        levels: _Levels,
        shortest: int,
        kinds: Collection[str],
        lossy: bool,
    ) -> None:
        self.kinds, self.frames, self.levels = kinds, source.frames, levels
        self.spans: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
        self.done = 0
        self.row = np.zeros(0)  # the newest block, and two samples before it
        held = max(shortest, SHORTEST_STUCK)
        crest = max(held, math.ceil(LONGEST_CREST * source.sample_rate))
        self.silence = None if lossy else Rests(shortest, self.jumps)
        self.stuck = Rests(held, self.jumps, lag=1)
        self.stuck_full = Rests(crest, self.jumps, lag=1)
        self.nan = Runs(1)
        self.clipped = Runs(SHORTEST_CLIPPED)

    def push(self, samples: Raw, at: int) -> None:
        """Look at the next block [n], as it is stored."""
        size = len(samples)
        self.row = np.concatenate((self.row[-2:], samples)) if at else samples
        self.done = at + size
        silence = self.levels.silence
        silent = np.abs(samples) <= silence if silence else samples == 0
        full = self.at_full_scale(samples)
        if "silence" in self.kinds and self.silence is not None:
            self.add("silence", self.silence.push(silent, at))
        if "stuck" in self.kinds:
            held = self.same_as_before(size) & ~silent
            crest = np.zeros(size, bool) if full is None else full
            self.add("stuck", self.stuck.push(held & ~crest, at))
            self.add("stuck", self.stuck_full.push(held & crest, at))
        if "nan" in self.kinds and samples.dtype.kind == "f":
            self.add("nan", self.nan.push(~_finite(samples), at))
        if "clipped" in self.kinds and (full is not None or self.clipped.begun is not None):
            mask = np.zeros(size, bool) if full is None else full
            self.add("clipped", self.clipped.push(mask, at))

    def finish(self, done: int) -> Iterator[_Span]:
        """All spans and their kinds, without the lead-in and the lead-out."""
        if self.silence is not None:
            self.add("silence", self.silence.finish(done))
        self.add("stuck", self.stuck.finish(done))
        self.add("stuck", self.stuck_full.finish(done))
        self.add("nan", self.nan.finish(done))
        self.add("clipped", self.clipped.finish(done))
        for group in _groups((*span, kind) for kind in KINDS for span in self.spans[kind]):
            if group[0][0] == 0 or max(stop for _, stop, _ in group) == self.frames:
                group = [span for span in group if span[2] not in ("silence", "stuck")]
            yield from group

    def add(self, kind: str, found: Spans) -> None:
        """Keep spans of a kind; those that will be one anyway as one, for there may be millions."""
        kept = self.spans[kind]
        for start, stop in join_spans(found, JOIN).tolist():
            if kept and kept[-1][0] - JOIN <= stop and start <= kept[-1][1] + JOIN:
                last = kept.pop()
                start, stop = min(start, last[0]), max(stop, last[1])
            kept.append((start, stop))

    def jumps(self, index: int) -> bool:
        """Whether the sound leaves one sample for the next by more than a step of its grid."""
        if not 0 < index < self.frames:
            return False
        place = index - self.done + len(self.row)
        before, after = self.row[place - 1 : place + 1].astype(np.float64)
        with np.errstate(invalid="ignore"):  # what is not finite is a jump
            return not abs(after - before) <= self.levels.step

    def same_as_before(self, size: int) -> Mask:
        """Whether a sample is finite and its predecessor's equal, for the newest ``size``."""
        same: Mask = (self.row[1:] == self.row[:-1])[-size:]
        if len(same) < size:  # the first of all has none before it
            same = np.concatenate((np.zeros(1, bool), same))
        return same & _finite(self.row[-size:])

    def at_full_scale(self, samples: Raw) -> Mask | None:
        """Which samples [n] are at or beyond full scale; None for none at all."""
        top = self.levels.full
        if samples.max() < top and samples.min() > -top:
            return None
        full: Mask = ((samples >= top) | (samples <= -top)) & _finite(samples)
        return full if full.any() else None


@dataclass(frozen=True)
class _Levels:
    """Levels in a source, in units of its stored samples.

    Attributes:
        silence: what is no louder is silent.
        step: between neighbours on the grid of its samples.
        full: full scale.
    """

    silence: float
    step: float
    full: float


def _levels(source: AudioSource) -> _Levels:
    if isinstance(source, AudioFile) and source.lossy:
        return _Levels(_LOSSY_SILENCE, _LOSSY_STEP, _LOSSY_FULL)
    if isinstance(source, AudioFile) and source.subtype in BITS:
        # sound of 16 bits is found in files of all depths, and so are its step and full scale
        step = 1 << 32 - min(BITS[source.subtype], 16)
        return _Levels(0, step, (1 << 31) - step)
    return _Levels(0, 2.0**-15, 1 - 2.0**-15)


def _reader(source: AudioSource) -> Callable[[int, int], Raw]:
    """How to read samples [n, C] as they are stored."""
    if isinstance(source, AudioFile):
        return source.read_raw
    return lambda start, stop: source.read(start, stop).T.numpy()


def _sound(samples: Raw) -> Raw:
    """Stored samples as float32 of full scale 1, what is not finite as 0."""
    if samples.dtype == np.int32:
        return (samples * np.float32(2.0**-31)).astype(np.float32)
    finite = _finite(samples)
    return np.where(finite, samples, 0).astype(np.float32)


def _finite(samples: Raw) -> Mask:
    """Which samples are numbers that float32 can hold."""
    if samples.dtype.kind != "f":
        return np.ones(samples.shape, bool)
    return np.asarray(np.abs(samples) <= _LARGEST_FLOAT)


def _together(parts: Iterable[tuple[Gap, str]], source: AudioSource) -> list[Fault]:
    """Faults from spans of channels and their kinds, one where they touch or are alike."""
    # two samples of sound are none: spans as near as that touch
    wide = [(Gap(gap.start, gap.stop + JOIN, gap.channels), kind) for gap, kind in parts]
    return [
        Fault(Gap(gap.start, gap.stop - JOIN, gap.channels), _named(kinds))
        for gap, kinds in merge_kinds(wide, source.channels)
    ]


def _united(found: Sequence[Fault], channels: int) -> list[Fault]:
    """Faults in order, one where they overlap, without rests that lie in one."""
    parts = [(f.gap, kind) for f in found if not f.left for kind in f.kind.split("+")]
    faults = [Fault(gap, _named(kinds)) for gap, kinds in merge_kinds(parts, channels)]
    left = [f for f in found if f.left and not any(_mostly(f.gap, o.gap) for o in faults)]
    return sorted([*faults, *left], key=lambda fault: fault.gap)


def _mostly(gap: Gap, other: Gap) -> bool:
    """Whether most of a gap lies in another."""
    common = min(gap.stop, other.stop) - max(gap.start, other.start)
    return gap.shares_channel(other) and 2 * common > gap.length


def _named(kinds: Collection[str]) -> str:
    """Kinds as one word, in their order."""
    return "+".join(kind for kind in KINDS if kind in kinds)


def _groups(spans: Iterable[_Span]) -> Iterator[list[_Span]]:
    """Spans sorted, in groups with no more than ``JOIN`` samples between their members."""
    group: list[_Span] = []
    end = 0
    for span in sorted(spans):
        if group and span[0] > end + JOIN:
            yield group
            group = []
        end = max(end, span[1]) if group else span[1]
        group.append(span)
    if group:
        yield group
