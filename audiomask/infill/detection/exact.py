"""Runs of samples that are exactly silent, stuck, not finite or clipped, in one channel."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audiomask.audio.files import AudioFile
from audiomask.audio.pcm import BITS, Raw
from audiomask.audio.source import AudioSource
from audiomask.infill.detection.runs import AbruptRuns, Mask, Runs, Spans, join_spans

#: most samples between two faults that are filled with them; longer slivers between clipped crests
#: are kept, as the crests are predicted from them
JOIN = 2
#: samples of the shortest clipping; a normalized recording's peak may have one or two at full scale
SHORTEST_CLIPPED = 4
#: samples of the shortest stuck run, whatever ``min_gap`` is
SHORTEST_STUCK = 8
#: seconds at full scale from which a run is stuck rather than clipped: half a period of 20 Hz
LONGEST_CREST = 0.025

# Lossy decoders return digital silence as less than half a step of 16 bits,
_LOSSY_SILENCE = 2.0**-16
# and clipped sound as a ripple about full scale. µ-law and A-law end at 0.98, too.
_LOSSY_FULL = 0.98
# The smallest steps of µ-law and A-law reach up to here.
_LOSSY_STEP = 2.0**-10
_LARGEST_FLOAT = float(np.finfo(np.float32).max)

EXACT = ("silence", "stuck", "nan", "clipped")
#: a span of samples and its kind
_Span = tuple[int, int, str]


@dataclass(frozen=True)
class _Levels:
    """Thresholds of a source, in units of its stored samples.

    Attributes:
        silence: the largest absolute value of silence.
        step: between neighbouring sample values.
        full: full scale.
    """

    silence: float
    step: float
    full: float


def levels_of(source: AudioSource) -> _Levels:
    """The thresholds of a source."""
    if isinstance(source, AudioFile) and source.lossy:
        return _Levels(_LOSSY_SILENCE, _LOSSY_STEP, _LOSSY_FULL)
    if isinstance(source, AudioFile) and source.subtype in BITS:
        # deeper files may hold sound of 16 bits: its step and full scale are used
        step = 1 << 32 - min(BITS[source.subtype], 16)
        return _Levels(0, step, (1 << 31) - step)
    return _Levels(0, 2.0**-15, 1 - 2.0**-15)


class ExactDetector:
    """Finds silent, stuck, non-finite and clipped runs in a channel's blocks."""

    def __init__(
        self,
        source: AudioSource,
        levels: _Levels,
        shortest: int,
        kinds: Collection[str],
        lossy: bool,
    ) -> None:
        self.kinds, self.frames, self.levels = kinds, source.frames, levels
        self.spans: dict[str, list[tuple[int, int]]] = {kind: [] for kind in EXACT}
        self.done = 0
        self.row = np.zeros(0)  # the newest block, and two samples before it
        shortest_stuck = max(shortest, SHORTEST_STUCK)
        crest = max(shortest_stuck, math.ceil(LONGEST_CREST * source.sample_rate))
        self.silence = None if lossy else AbruptRuns(shortest, self.jumps)
        self.stuck = AbruptRuns(shortest_stuck, self.jumps, lag=1)
        self._stuck_full = AbruptRuns(crest, self.jumps, lag=1)
        self.nan = Runs(1)
        self.clipped = Runs(SHORTEST_CLIPPED)

    def push(self, samples: Raw, at: int) -> None:
        """Examine the next block [n], as it is stored; ``at`` is its first sample."""
        size = len(samples)
        self.row = np.concatenate((self.row[-2:], samples)) if at else samples
        self.done = at + size
        silence = self.levels.silence
        silent = np.abs(samples) <= silence if silence else samples == 0
        full = self._at_full_scale(samples)
        if "silence" in self.kinds and self.silence is not None:
            self.add("silence", self.silence.push(silent, at))
        if "stuck" in self.kinds:
            repeats = self._same_as_before(size) & ~silent
            crest = np.zeros(size, bool) if full is None else full
            self.add("stuck", self.stuck.push(repeats & ~crest, at))
            self.add("stuck", self._stuck_full.push(repeats & crest, at))
        if "nan" in self.kinds and samples.dtype.kind == "f":
            self.add("nan", self.nan.push(~finite(samples), at))
        if "clipped" in self.kinds and (full is not None or self.clipped.begun is not None):
            mask = np.zeros(size, bool) if full is None else full
            self.add("clipped", self.clipped.push(mask, at))

    def finish(self, done: int) -> Iterator[_Span]:
        """All spans and their kinds, without the lead-in and the lead-out."""
        if self.silence is not None:
            self.add("silence", self.silence.finish(done))
        self.add("stuck", self.stuck.finish(done))
        self.add("stuck", self._stuck_full.finish(done))
        self.add("nan", self.nan.finish(done))
        self.add("clipped", self.clipped.finish(done))
        for group in _groups((*span, kind) for kind in EXACT for span in self.spans[kind]):
            if group[0][0] == 0 or max(stop for _, stop, _ in group) == self.frames:
                group = [span for span in group if span[2] not in ("silence", "stuck")]
            yield from group

    def add(self, kind: str, found: Spans) -> None:
        """Keep spans of a kind, joined at once, for there may be millions."""
        kept = self.spans[kind]
        for start, stop in join_spans(found, JOIN).tolist():
            if kept and kept[-1][0] - JOIN <= stop and start <= kept[-1][1] + JOIN:
                last = kept.pop()
                start, stop = min(start, last[0]), max(stop, last[1])
            kept.append((start, stop))

    def jumps(self, index: int) -> bool:
        """Whether a sample differs from the one before by more than a step."""
        if not 0 < index < self.frames:
            return False
        place = index - self.done + len(self.row)
        before, after = self.row[place - 1 : place + 1].astype(np.float64)
        with np.errstate(invalid="ignore"):  # a value that is not finite is a jump
            return not abs(after - before) <= self.levels.step

    def _same_as_before(self, size: int) -> Mask:
        """Whether samples are finite and equal to the one before, for the newest ``size``."""
        same: Mask = (self.row[1:] == self.row[:-1])[-size:]
        if len(same) < size:  # the recording's first sample
            same = np.concatenate((np.zeros(1, bool), same))
        return same & finite(self.row[-size:])

    def _at_full_scale(self, samples: Raw) -> Mask | None:
        """Which samples [n] are at or beyond full scale; None when there are none."""
        top = self.levels.full
        if samples.max() < top and samples.min() > -top:
            return None
        full: Mask = ((samples >= top) | (samples <= -top)) & finite(samples)
        return full if full.any() else None


def finite(samples: Raw) -> Mask:
    """Which samples are finite in float32."""
    if samples.dtype.kind != "f":
        return np.ones(samples.shape, bool)
    return np.asarray(np.abs(samples) <= _LARGEST_FLOAT)


def _groups(spans: Iterable[_Span]) -> Iterator[list[_Span]]:
    """Sorted spans in groups, at most ``JOIN`` samples between the members of one."""
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
