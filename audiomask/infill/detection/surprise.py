"""Damage found by surprise: samples that a model of the sound finds unlikely from both sides.

A model tells how many bits each sample costs, given the samples before it, and once more, given
those after it. What music does at once, such as an attack, is unlikely forwards and likely
backwards, where it is the end of a decay. A click, a splice and the edge of a dropout are unlikely
both ways. So the score of a place is the smaller of two numbers: by how many bits a few samples
there cost more than the model expects, forwards and backwards.

How high scores of undamaged sound become differs between recordings. It is taken from the
recording itself, whose lower scores are of its own sound. Sound that nearly stands still beside a
place belongs to the fault, as it does in a dropout or while a converter is stuck.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import maximum_filter1d
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.infill.gaps import Gap
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import SILENT, encode

_Scores = npt.NDArray[np.float32]

#: least score of a fault, in bits
_THRESHOLD = 20.0
#: least score that is looked at, and how many of these a recording needs to tell what is usual
_LEAST, _ENOUGH = 5.0, 20
#: share of them that are of the recording's own sound
_OWN = 0.9
#: seconds in which sound without damage may reach the threshold once, as a recording's scores tell
_APART = 10.0
#: samples of sound that are searched at once; samples around them that are scored as well
BLOCK, MARGIN = 65_536, 1024
#: samples of the past that a model is given, or of the future
CONTEXT = 65_536
#: samples by which the places may differ that are unlikely forwards and backwards
_REACH = 24
#: bits of each sample's excess that do not count, as sound has its accidents
_SPARED = 2.0
#: samples at both ends of a recording in which nothing is found
_ENDS = 64
#: samples with so large a part of the largest excess belong to a fault
_EDGE = 0.35
#: samples between two faults that are joined, and added at both edges
_JOIN, _WIDER = 16, 2
#: samples of the shortest dropout or stuck span; seconds of the longest, and of the sound beside it
_SHORTEST, _LONGEST, _BESIDE = 48, 1.0, 0.02
#: how far its samples may be from each other, as a share of the deviation of the sound beside it
_STILL = 0.1


class SampleCosts(Protocol):
    """A model of sound: what samples cost."""

    @property
    def sample_rate(self) -> int:
        """Of the sound, in Hz."""

    @property
    def unit(self) -> int:
        """Samples that beginnings of spans are a multiple of."""

    def costs(self, levels: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Bits of the samples from ``first`` on, and those to be expected, [T - first] each.

        Both are told by the samples before.

        Args:
            levels: mu-law levels, int64 [T]; T and ``first`` are multiples of the unit.
        """


class Surprise(NamedTuple):
    """A fault that was found by surprise.

    Attributes:
        gap: its samples and channel.
        bits: by how many its samples cost more than expected, forwards or backwards, whichever is
            less.
    """

    gap: Gap
    bits: float


class Event(NamedTuple):
    """A span of samples at the model's rate, and its score in bits."""

    start: int
    stop: int
    bits: float


def find_surprises(
    source: AudioSource,
    costs: SampleCosts,
    channels: Sequence[int] = (),
    threshold: float = _THRESHOLD,
) -> list[Surprise]:
    """The faults of a recording by surprise, in order, channel by channel.

    Args:
        source: the recording, of any rate and length.
        costs: the model.
        channels: to be searched; all when empty.
        threshold: least score, in bits; more where the recording's own sound scores high.
    """
    found: list[Surprise] = []
    for channel in channels or range(source.channels):
        row = _Channel(ResampledSource(_One(source, channel), costs.sample_rate))
        events = _events(row, costs)
        least = max(threshold, usual_bits(events, row.frames / row.rate))
        for start, stop, bits in _join(row, [one for one in events if one.bits >= least]):
            gap = _as_gap(start, stop, channel, costs.sample_rate, source)
            found.append(Surprise(gap, bits))
    return sorted(found, key=lambda one: (one.gap.start, one.gap.channels))


class _One:
    """One channel of a recording; what is not finite is 0."""

    channels = 1

    def __init__(self, source: AudioSource, channel: int) -> None:
        self.source, self.channel = source, channel
        self.sample_rate, self.frames = source.sample_rate, source.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop), [1, stop - start]."""
        return self.source.read(start, stop)[self.channel, None].nan_to_num(0, 0, 0)


class _Channel:
    """A channel at the model's rate, its peak at full scale."""

    def __init__(self, source: AudioSource) -> None:
        self.source, self.frames, self.rate = source, source.frames, source.sample_rate
        peaks = [
            float(source.read(start, min(start + BLOCK, self.frames)).abs().amax())
            for start in range(0, self.frames, BLOCK)
        ]
        self.peak = max(peaks, default=0.0)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop), [stop - start]."""
        return self.source.read(start, stop)[0] / max(self.peak, SILENT)


def usual_bits(events: Sequence[Event], seconds: float) -> float:
    """The score that a recording's own sound reaches once in ``_APART`` seconds, as it seems.

    Scores of sound fall off exponentially, at a rate that most of them tell, whatever a few faults
    among them score.
    """
    if len(events) < _ENOUGH:
        return 0.0
    beyond = float(np.quantile([one.bits for one in events], _OWN)) - _LEAST
    often = len(events) / seconds * _APART
    return _LEAST + beyond * max(math.log(often), 0.0) / -math.log(1 - _OWN)


def _events(row: _Channel, costs: SampleCosts) -> list[Event]:
    """Places of a channel that are unlikely from both sides, in order."""
    found: list[Event] = []
    if row.peak < SILENT:
        return found
    for start in range(0, row.frames, BLOCK):
        stop = min(start + BLOCK, row.frames)
        first = start - MARGIN
        excesses = _excesses(row, costs, first, stop + MARGIN)
        for event in _peaks(excesses, _LEAST):
            moved = Event(event.start + first, event.stop + first, event.bits)
            if start <= moved.start < stop:
                found.append(moved)
    return found


def _excesses(row: _Channel, costs: SampleCosts, start: int, stop: int) -> list[_Scores]:
    """By how many bits samples [start, stop) cost more than expected, forwards and backwards."""
    unit = costs.unit
    length = -(-(stop - start) // unit) * unit
    context = -(-CONTEXT // unit) * unit
    around = encode(row.read(start - context, start + length + context))
    found = []
    for levels in (around[: context + length], around[context:].flip(0)):
        bits, expected = costs.costs(levels, context)
        found.append((bits - expected).float().cpu().numpy())
    found[1] = found[1][::-1]
    # a recording may begin and end within the sound
    numbers = np.arange(start, start + length)
    inside = (numbers >= _ENDS) & (numbers < row.frames - _ENDS)
    return [(one * inside)[: stop - start] for one in found]


def _peaks(excesses: Sequence[_Scores], threshold: float) -> list[Event]:
    """Spans of samples that are unlikely from both sides."""
    forwards, backwards = excesses
    sums = (_sum_up(forwards), _sum_up(backwards[::-1])[::-1])
    scores = np.minimum(*(maximum_filter1d(one, 2 * _REACH + 1) for one in sums))
    excess = np.maximum(forwards, backwards)
    high = np.flatnonzero((scores >= threshold) & (excess > _SPARED))
    found = []
    for group in np.split(high, np.flatnonzero(np.diff(high) > _REACH) + 1) if len(high) else []:
        members = group[excess[group] >= _EDGE * excess[group].max()]
        bits = float(scores[group].max())
        found.append(Event(int(members[0]), int(members[-1]) + 1, bits))
    return found


def _sum_up(excess: _Scores) -> _Scores:
    """The largest sums of excesses that end at each sample (Page 1954).

    A part of each is spared, so that sums do not grow where nothing is unusual.
    """
    sums = np.cumsum(excess - _SPARED, dtype=np.float64)
    before = np.minimum.accumulate(np.concatenate(([0.0], sums[:-1])))
    found: _Scores = np.maximum(sums - before, 0).astype(np.float32)
    return found


def _join(row: _Channel, events: Sequence[Event]) -> list[Event]:
    """Events with what stands still beside them, joined where they then touch."""
    found: list[Event] = []
    for event in events:
        start = event.start - _still_samples(row, event.start, event.stop, -1)
        stop = event.stop + _still_samples(row, event.stop, event.start, 1)
        start, stop = max(start, 0), min(stop, row.frames)
        if found and start - found[-1].stop <= _JOIN:
            last = found[-1]
            start, stop = min(last.start, start), max(last.stop, stop)
            found[-1] = Event(start, stop, max(last.bits, event.bits))
        else:
            found.append(Event(start, stop, event.bits))
    return found


def _still_samples(row: _Channel, edge: int, other: int, direction: int) -> int:
    """How many samples stand still from an edge of an event on; 0 for too few or too many.

    Args:
        row: the channel.
        edge: of the event, where they would begin.
        other: edge of the event, beyond which sound is compared with them.
        direction: 1 for samples after the edge, -1 for those before.
    """
    beside, longest = round(_BESIDE * row.rate), round(_LONGEST * row.rate)
    around = row.read(*sorted((other, other - direction * beside)))
    samples = row.read(*sorted((edge, edge + direction * longest)))
    samples = samples if direction > 0 else samples.flip(0)
    moves = (samples - samples[:_SHORTEST].median()).abs() > _STILL * around.std(correction=0)
    length = int(moves.int().argmax()) if moves.any() else longest
    return length if _SHORTEST <= length < longest else 0


def _as_gap(start: int, stop: int, channel: int, rate: int, source: AudioSource) -> Gap:
    """A span at the model's rate as a gap of the recording."""
    ratio = source.sample_rate / rate
    first = max(int((start - _WIDER) * ratio), 0)
    last = min(int((stop + _WIDER) * ratio) + 1, source.frames)
    return Gap(first, max(last, first + 1), (channel,) if source.channels > 1 else ())


class WaveCosts:
    """The costs that a raw-audio model tells.

    Args:
        model: predicts every sample.
        device: where it runs.
    """

    def __init__(self, model: WaveModel, device: torch.device) -> None:
        self.model, self.device = model, device
        self.sample_rate, self.unit = model.config.sample_rate, model.config.patch

    @torch.no_grad()
    def costs(self, levels: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Bits of the samples from ``first`` on, and those to be expected, [T - first] each."""
        begin, number = first // self.unit, (len(levels) - first) // self.unit
        bits, expected = self.model.costs(
            levels[None].to(self.device), torch.tensor([[begin]], device=self.device), number
        )
        return bits.flatten(), expected.flatten()
