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

#: So many samples of sound or fewer between two faults are filled with them. Longer slivers are
#: worth keeping: true samples between clipped crests are what the crests are predicted from.
JOIN = 2
#: One sample or two at full scale are the peak of a normalised recording, not a cut crest.
SHORTEST_CLIPPED = 4
#: Fewer equal samples than these are sound, whatever is asked for.
SHORTEST_STUCK = 8
#: Seconds at full scale after which a crest is none, but a converter that hangs there: half a
#: period of 20 Hz.
LONGEST_CREST = 0.025

# Decoders of lossy codings give digital silence back as less than half a step of 16 bits,
_LOSSY_SILENCE = 2.0**-16
# and what was cut at full scale as a ripple about it. µ-law and A-law end at 0.98, too.
_LOSSY_FULL = 0.98
# The smallest steps of µ-law and A-law reach up to here.
_LOSSY_STEP = 2.0**-10
_LARGEST_FLOAT = float(np.finfo(np.float32).max)

EXACT = ("silence", "stuck", "nan", "clipped")
#: a span of samples and its kind
Span = tuple[int, int, str]


@dataclass(frozen=True)
class Levels:
    """Levels in a source, in units of its stored samples.

    Attributes:
        silence: what is no louder is silent.
        step: between neighbours on the grid of its samples.
        full: full scale.
    """

    silence: float
    step: float
    full: float


def levels_of(source: AudioSource) -> Levels:
    """The levels of a source, in the units of its stored samples."""
    if isinstance(source, AudioFile) and source.lossy:
        return Levels(_LOSSY_SILENCE, _LOSSY_STEP, _LOSSY_FULL)
    if isinstance(source, AudioFile) and source.subtype in BITS:
        # sound of 16 bits is found in files of all depths, and so are its step and full scale
        step = 1 << 32 - min(BITS[source.subtype], 16)
        return Levels(0, step, (1 << 31) - step)
    return Levels(0, 2.0**-15, 1 - 2.0**-15)


class ExactDetector:
    """Finds such runs in a channel's blocks."""

    def __init__(
        self,
        source: AudioSource,
        levels: Levels,
        shortest: int,
        kinds: Collection[str],
        lossy: bool,
    ) -> None:
        self.kinds, self.frames, self.levels = kinds, source.frames, levels
        self.spans: dict[str, list[tuple[int, int]]] = {kind: [] for kind in EXACT}
        self.done = 0
        self.row = np.zeros(0)  # the newest block, and two samples before it
        held = max(shortest, SHORTEST_STUCK)
        crest = max(held, math.ceil(LONGEST_CREST * source.sample_rate))
        self.silence = None if lossy else AbruptRuns(shortest, self.jumps)
        self.stuck = AbruptRuns(held, self.jumps, lag=1)
        self.stuck_full = AbruptRuns(crest, self.jumps, lag=1)
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
            self.add("nan", self.nan.push(~finite(samples), at))
        if "clipped" in self.kinds and (full is not None or self.clipped.begun is not None):
            mask = np.zeros(size, bool) if full is None else full
            self.add("clipped", self.clipped.push(mask, at))

    def finish(self, done: int) -> Iterator[Span]:
        """All spans and their kinds, without the lead-in and the lead-out."""
        if self.silence is not None:
            self.add("silence", self.silence.finish(done))
        self.add("stuck", self.stuck.finish(done))
        self.add("stuck", self.stuck_full.finish(done))
        self.add("nan", self.nan.finish(done))
        self.add("clipped", self.clipped.finish(done))
        for group in _groups((*span, kind) for kind in EXACT for span in self.spans[kind]):
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
        return same & finite(self.row[-size:])

    def at_full_scale(self, samples: Raw) -> Mask | None:
        """Which samples [n] are at or beyond full scale; None for none at all."""
        top = self.levels.full
        if samples.max() < top and samples.min() > -top:
            return None
        full: Mask = ((samples >= top) | (samples <= -top)) & finite(samples)
        return full if full.any() else None


def finite(samples: Raw) -> Mask:
    """Which samples are numbers that float32 can hold."""
    if samples.dtype.kind != "f":
        return np.ones(samples.shape, bool)
    return np.asarray(np.abs(samples) <= _LARGEST_FLOAT)


def _groups(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Spans sorted, in groups with no more than ``JOIN`` samples between their members."""
    group: list[Span] = []
    end = 0
    for span in sorted(spans):
        if group and span[0] > end + JOIN:
            yield group
            group = []
        end = max(end, span[1]) if group else span[1]
        group.append(span)
    if group:
        yield group
