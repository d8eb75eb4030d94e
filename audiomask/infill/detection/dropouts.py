"""Dropouts: interruptions of the sound that are quiet rather than silent.

They hold the noise of a lossy coding or a converter, or hum. Their level is far below that of their
surroundings, and falls and rises within a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audiomask.audio.source import AudioSource

_Levels = npt.NDArray[np.float32]

#: seconds of a frame, over which a level is measured
_FRAME = 0.001
#: decibels by which the level falls at a dropout's start and rises at its end
_STEP = 18.0
#: decibels below the level before a dropout; above it, the dropout has ended
_RETURN = 12.0
#: lowest level of the sound beside a dropout, in dB of full scale
_FAINT = -60.0
#: frames beside an edge over which the sound's level is measured, and of the shortest dropout
_NEAR, _SHORTEST = 4, 4
#: seconds within which the end of a dropout is searched for, at least
_REACH = 5.0
#: frames searched at once
_BATCH = 16_384


class Dip(NamedTuple):
    """A span in which the level of one channel, or of all, falls and rises again.

    Attributes:
        start, stop: samples, to a millisecond.
        channel: number of the channel; -1 for all of them together.
        level: median within it, in dB of full scale.
    """

    start: int
    stop: int
    channel: int
    level: float


class DipDetector:
    """Finds dips in a recording's blocks.

    Args:
        sample_rate: samples a second.
        channels: of the recording.
        longest: seconds of the longest dip to find.
    """

    def __init__(self, sample_rate: int, channels: int, longest: float) -> None:
        self.size = max(round(_FRAME * sample_rate), 1)
        self.rate, self.channels = sample_rate, channels
        longest = max(longest, _REACH) if math.isfinite(longest) else 60.0
        self.reach = math.ceil(longest / _FRAME)
        self.rest = np.zeros((0, channels), np.float32)  # samples of an incomplete frame
        # mean squares and means of the frames from ``first`` on
        self.squares = np.zeros((0, channels), np.float32)
        self.means = np.zeros((0, channels), np.float32)
        self.first = 0
        self.done = 0  # frames up to here have been searched for falls

    def push(self, samples: _Levels) -> list[Dip]:
        """Add the next block [n, C], full scale at 1; returns the dips that are known by now."""
        block = np.concatenate((self.rest, samples))
        count = len(block) // self.size
        frames = block[: count * self.size].reshape(count, self.size, self.channels)
        self.rest = block[count * self.size :]
        squares = np.einsum("nhc,nhc->nc", frames, frames) / self.size
        self.squares = np.concatenate((self.squares, squares))
        self.means = np.concatenate((self.means, frames.mean(axis=1)))
        if len(self.squares) < self.reach + _BATCH:
            return []
        return self._search(self.first + len(self.squares) - self.reach)

    def finish(self) -> list[Dip]:
        """The remaining dips, at the recording's end."""
        return self._search(self.first + len(self.squares))

    def _search(self, until: int) -> list[Dip]:
        """Dips that begin in frames from ``done`` to ``until``."""
        found: list[Dip] = []
        if not len(self.squares):
            return found
        # a DC offset would raise the level of a dropout; the smaller of both powers is taken, as a
        # dropout may be with the offset or without it
        offset = np.median(self.means, axis=0)
        centred = self.squares - 2 * offset * self.means + offset * offset
        power = np.minimum(self.squares, centred)
        levels = [(-1, power.mean(axis=1))] if self.channels > 1 else []
        levels += [(channel, power[:, channel]) for channel in range(self.channels)]
        for channel, level in levels:
            for start, stop, inside in _dips(
                _decibels(level), self.done - self.first, until - self.first, self.reach
            ):
                number = channel if self.channels > 1 else -1
                begin = (self.first + start) * self.size
                end = (self.first + stop + 1) * self.size
                found.append(Dip(begin, end, number, inside))
        keep = max(until - self.first - 2 * _NEAR, 0)
        self.squares, self.means = self.squares[keep:], self.means[keep:]
        self.first, self.done = self.first + keep, until
        return found


def _dips(level: _Levels, first: int, until: int, reach: int) -> Iterator[tuple[int, int, float]]:
    """Dips of levels [n] that begin in frames from ``first`` to ``until``.

    Yields:
        The frame in which the level falls, that in which it rises, and the level between.
    """
    power = np.power(10, level / 10)
    before, after = _decibels(_mean(power, -_NEAR, -1)), _decibels(_mean(power, 1, _NEAR))
    # the frame of an edge itself is skipped: it has samples of both sides
    fall, rise = before - _largest(level, 1, 3), after - _largest(level, -3, -1)
    steep = np.flatnonzero((fall > _STEP) & (before > _FAINT))
    steep = steep[(steep >= first) & (steep < until)]
    if not len(steep):
        return
    end = -1
    for group in np.split(steep, np.flatnonzero(np.diff(steep) > 1) + 1):
        start = int(group[0])
        if start < end:
            continue
        loud = np.flatnonzero(level[start + 2 : start + 2 + reach] > before[start] - _RETURN)
        if not len(loud):
            continue
        back = start + 2 + int(loud[0])
        low = max(back - 2, start + 2)
        stop = low + int(np.argmax(rise[low : back + 2]))
        if stop - start >= _SHORTEST and rise[stop] > _STEP and after[stop] > _FAINT:
            yield start, stop, float(np.median(level[start + 1 : stop]))
            end = stop


def exact_edges(source: AudioSource, dip: Dip, channels: Sequence[int]) -> tuple[int, int] | None:
    """A dip's first sample and the one after its last, exactly; None if they cannot be found.

    Args:
        source: the recording.
        dip: to a millisecond.
        channels: numbers of the channels that it is in.
    """
    side = 3 * round(_FRAME * source.sample_rate)
    rows = list(channels)
    found = []
    for at, turn in ((dip.start, 1), (dip.stop, -1)):
        # with the edge's frame in the middle, and the sound on its left (in time order ``turn``)
        frame = at if turn > 0 else at - side // 3
        near = source.read(frame - side, frame + side // 3 + side)[rows].double().numpy()
        loudness = np.abs(near).max(axis=0)[::turn]
        inside = loudness[side + side // 3 :]
        # above anything inside, such as pre-echo of a coding
        outside = float(np.square(loudness[:side]).mean()) ** 0.5
        threshold = max(1.5 * float(inside.max()), 0.3 * outside)
        loud = np.flatnonzero(loudness > threshold)
        if not len(loud):
            return None
        last = int(loud[-1]) + 1  # counted from the sound's side
        found.append(frame - side + last if turn > 0 else frame + side // 3 + side - last)
    start, stop = found
    return (start, stop) if 0 <= start < stop <= source.frames else None


def _mean(power: _Levels, low: int, high: int) -> _Levels:
    """Means of power [n] over frames ``low`` to ``high`` away; 0 beyond the ends."""
    total = np.concatenate((np.zeros(1), np.cumsum(power, dtype=np.float64)))
    at = np.arange(len(power))
    ends = [np.clip(at + place, 0, len(power)) for place in (low, high + 1)]
    made: _Levels = (np.maximum(total[ends[1]] - total[ends[0]], 0) / (high + 1 - low)).astype(
        np.float32
    )
    return made


def _largest(level: _Levels, low: int, high: int) -> _Levels:
    """Maxima of levels [n] over frames ``low`` to ``high`` away; -100 dB beyond the ends."""
    padded = np.pad(level, (max(-low, 0), max(high, 0)), constant_values=-100)
    first = max(-low, 0)
    shifted = [padded[first + away :][: len(level)] for away in range(low, high + 1)]
    made: _Levels = np.maximum.reduce(shifted)
    return made


def _decibels(power: _Levels) -> _Levels:
    made: _Levels = 10 * np.log10(np.maximum(power, 1e-10))
    return made.astype(np.float32)
