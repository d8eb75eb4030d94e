"""Faults: dropouts and damage that a recording's own samples give away.

A recording is read once, block by block. Four kinds of fault are told apart:

- ``silence``: every channel is exactly 0 (in lossy files: inaudibly near 0);
- ``stuck``: every channel holds one value, not all of them 0: a converter or a link that hangs;
- ``nan``: some channel is not a finite number;
- ``clipped``: some channel stays at or beyond full scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audiomask.audio.files import AudioFile
from audiomask.audio.gaps import Gap
from audiomask.audio.pcm import BITS, Raw
from audiomask.audio.runs import Mask, Rests, Runs, Spans, join_spans
from audiomask.audio.source import AudioSource

KINDS = ("silence", "stuck", "nan", "clipped")
#: clipping is left alone unless asked for: loud masters are full of it, on purpose
DEFAULT_KINDS = KINDS[:3]

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
    """A span that is to be filled, and why.

    Attributes:
        gap: where it is.
        kind: one of ``KINDS``, or several joined by ``+``, in that order: ``silence+nan``.
    """

    gap: Gap
    kind: str


def detect_faults(
    source: AudioSource, min_gap: float = 0.01, kinds: Collection[str] = DEFAULT_KINDS
) -> list[Fault]:
    """Find what is broken in a recording. The source is read once, block by block.

    Silence and stuck samples are faults where there is sound before and after them: at the start
    and end of a recording they are its lead-in and lead-out. They must be entered or left by a
    jump, too: quiet sound that was rounded without dither comes to rest on 0 and its neighbours,
    one step away, as long as a dropout lasts. (Silence in lossy files is excused from that, for
    their coding smears edges.)

    What is not finite is a fault anywhere, as is clipping: four samples of a channel in a row at
    the largest value of the subtype, or beyond; at that of 16 bits in deeper and floating
    subtypes, for that is where sound that was clipped at 16 bits lies in them; 0.98 in lossy
    files. A constant at full scale is taken for stuck only after 25 ms.

    Faults that touch or overlap, or have but two samples of sound between them, are one.

    Args:
        source: where to look.
        min_gap: seconds; shorter runs of silence and of stuck samples are taken for sound. It
            does not apply to what is not finite, which is never sound, nor to clipping, whose
            runs are shorter by nature.
        kinds: which of ``KINDS`` to look for. What is not looked for is taken for sound.

    Returns:
        Faults in order, none touching another.

    Raises:
        ValueError: a kind is unknown.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"unknown kinds of fault: {', '.join(sorted(unknown))}")
    finder = _Finder(source, min_gap, kinds)
    read = _reader(source)
    block = max(_BLOCK_SAMPLES // source.channels, 1)
    for start in range(0, source.frames, block):
        finder.push(read(start, min(start + block, source.frames)))
    return finder.finish()


class _Finder:
    """What a recording's blocks hold, put together to faults."""

    def __init__(self, source: AudioSource, min_gap: float, kinds: Collection[str]) -> None:
        self.kinds, self.frames = kinds, source.frames
        self.levels = _levels(source)
        self.spans: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
        self.done = 0  # samples seen
        self.rows = np.zeros((0, source.channels))  # the newest block, and two samples before it
        # 0.0099 s at 10 kHz are 99 samples, though their product is a little more
        shortest = max(math.ceil(round(min_gap * source.sample_rate, 6)), 1)
        held = max(shortest, SHORTEST_STUCK)
        crest = max(held, math.ceil(LONGEST_CREST * source.sample_rate))
        lossy = self.levels.silence > 0
        self.silence = Runs(shortest) if lossy else Rests(shortest, self.jumps)
        self.stuck = Rests(held, self.jumps, lag=1)
        self.stuck_full = Rests(crest, self.jumps, lag=1)
        self.nan = Runs(1)
        self.clipped = [Runs(SHORTEST_CLIPPED) for _ in range(source.channels)]

    def push(self, samples: Raw) -> None:
        """Look at the next block [n, C], as it is stored."""
        at, size = self.done, len(samples)
        self.rows = np.concatenate((self.rows[-2:], samples)) if at else samples
        self.done += size
        silence = self.levels.silence
        silent = _every(np.abs(samples) <= silence if silence else samples == 0)
        full = self.at_full_scale(samples)
        if "silence" in self.kinds:
            self.add("silence", self.silence.push(silent, at))
        if "stuck" in self.kinds:
            held = self.same_as_before(size) & ~silent
            crest = np.zeros(size, bool) if full is None else ~_every(~full)
            self.add("stuck", self.stuck.push(held & ~crest, at))
            self.add("stuck", self.stuck_full.push(held & crest, at))
        if "nan" in self.kinds and samples.dtype.kind == "f":
            self.add("nan", self.nan.push(~_every(_finite(samples)), at))
        if "clipped" in self.kinds:
            nowhere = np.zeros(size, bool)
            for channel, runs in enumerate(self.clipped):
                if full is not None or runs.begun is not None:
                    mask = nowhere if full is None else full[:, channel]
                    self.add("clipped", runs.push(mask, at))

    def finish(self) -> list[Fault]:
        """All faults, now that the recording has been seen to its end."""
        self.add("silence", self.silence.finish(self.done))
        self.add("stuck", self.stuck.finish(self.done))
        self.add("stuck", self.stuck_full.finish(self.done))
        self.add("nan", self.nan.finish(self.done))
        for runs in self.clipped:
            self.add("clipped", runs.finish(self.done))
        return _faults(self.spans, self.frames)

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
        row = index - self.done + len(self.rows)
        before, after = self.rows[row - 1 : row + 1].astype(np.float64)
        with np.errstate(invalid="ignore"):  # what is not finite is a jump
            return not (np.abs(after - before) <= self.levels.step).all()

    def same_as_before(self, size: int) -> Mask:
        """Whether a sample is finite and its predecessor's equal, for the newest ``size``."""
        same = _every(self.rows[1:] == self.rows[:-1])[-size:]
        if len(same) < size:  # the first of all has none before it
            same = np.concatenate((np.zeros(1, bool), same))
        return same & _every(_finite(self.rows[-size:]))

    def at_full_scale(self, samples: Raw) -> Mask | None:
        """Which samples [n, C] are at or beyond full scale; None for none at all."""
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


def _every(mask: Mask) -> Mask:
    """Where a condition [n, C] holds in every channel, [n]."""
    out = mask[:, 0].copy()
    for channel in mask.T[1:]:  # quicker than NumPy's own, as there are few channels
        out &= channel
    return out


def _finite(samples: Raw) -> Mask:
    """Which samples [n, C] are numbers that float32 can hold."""
    if samples.dtype.kind != "f":
        return np.ones(samples.shape, bool)
    return np.asarray(np.abs(samples) <= _LARGEST_FLOAT)


def _faults(found: dict[str, list[tuple[int, int]]], frames: int) -> list[Fault]:
    """Faults from the spans of every kind, without the lead-in and the lead-out."""
    faults = []
    spans = [(*span, kind) for kind in KINDS for span in found[kind]]
    for group in _groups(spans):
        if group[0][0] == 0 or max(stop for _, stop, _ in group) == frames:
            group = [span for span in group if span[2] in ("nan", "clipped")]
        for part in _groups(group):
            there = {kind for _, _, kind in part}
            gap = Gap(part[0][0], max(stop for _, stop, _ in part))
            faults.append(Fault(gap, "+".join(kind for kind in KINDS if kind in there)))
    return faults


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
