"""Dropouts: places where sound breaks off and comes back, though something is left between.

A lossy coding, a converter's noise or hum may be in what was digital silence. What gives it away
is the level: far below its surroundings, and from one millisecond to the next on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audiomask.audio.source import AudioSource

Levels = npt.NDArray[np.float32]

#: seconds of a frame, whose level is taken
FRAME = 0.001
#: decibels by which the level falls at a dropout's start and rises at its end
STEP = 18.0
#: decibels below what was before it at which it has not ended yet
RETURN = 12.0
#: decibels of full scale that the sound beside it has at least
FAINT = -60.0
#: frames on the far side of an edge, over which levels are taken, and of the shortest dropout
NEAR, SHORTEST = 4, 4
#: seconds that the end of a dropout is looked for, at least
REACH = 5.0
#: frames that are looked through at once
_BATCH = 16_384


class Dip(NamedTuple):
    """Where the level of some channel, or of all, falls and rises again.

    Attributes:
        start, stop: samples, to a millisecond.
        channel: number of the channel; -1 for all of them together.
        level: of what is between, in dB of full scale.
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
        longest: seconds of the longest dip that is of interest.
    """

    def __init__(self, sample_rate: int, channels: int, longest: float) -> None:
        self.size = max(round(FRAME * sample_rate), 1)
        self.rate, self.channels = sample_rate, channels
        longest = max(longest, REACH) if math.isfinite(longest) else 60.0
        self.reach = math.ceil(longest / FRAME)
        self.left = np.zeros((0, channels), np.float32)  # samples that fill no frame yet
        # of frames from ``first`` on that may matter yet: mean squares and means
        self.squares = np.zeros((0, channels), np.float32)
        self.means = np.zeros((0, channels), np.float32)
        self.first = 0
        self.done = 0  # frames up to here have been searched for falls

    def push(self, samples: Levels) -> list[Dip]:
        """Look at the next block [n, C], full scale at 1; returns what is known to be a dip."""
        block = np.concatenate((self.left, samples))
        count = len(block) // self.size
        frames = block[: count * self.size].reshape(count, self.size, self.channels)
        self.left = block[count * self.size :]
        squares = np.einsum("nhc,nhc->nc", frames, frames) / self.size
        self.squares = np.concatenate((self.squares, squares))
        self.means = np.concatenate((self.means, frames.mean(axis=1)))
        if len(self.squares) < self.reach + _BATCH:
            return []
        return self._search(self.first + len(self.squares) - self.reach)

    def finish(self) -> list[Dip]:
        """The rest, now that the recording has ended."""
        return self._search(self.first + len(self.squares))

    def _search(self, until: int) -> list[Dip]:
        """Dips that begin in frames from ``done`` to ``until``."""
        found: list[Dip] = []
        if not len(self.squares):
            return found
        # what a constant offset adds to the level would hide what is below it; but a dropout may
        # have come after what added the offset, or before it
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
        keep = max(until - self.first - 2 * NEAR, 0)
        self.squares, self.means = self.squares[keep:], self.means[keep:]
        self.first, self.done = self.first + keep, until
        return found


def _dips(level: Levels, first: int, until: int, reach: int) -> Iterator[tuple[int, int, float]]:
    """The frames in which levels [n] fall, from ``first`` to ``until``, and rise again.

    Yields:
        The frame of the fall, that of the rise, and the level between them.
    """
    power = np.power(10, level / 10)
    before, after = _decibels(_mean(power, -NEAR, -1)), _decibels(_mean(power, 1, NEAR))
    # the frame of an edge itself has some of both sides
    fall, rise = before - _largest(level, 1, 3), after - _largest(level, -3, -1)
    steep = np.flatnonzero((fall > STEP) & (before > FAINT))
    steep = steep[(steep >= first) & (steep < until)]
    if not len(steep):
        return
    end = -1
    for group in np.split(steep, np.flatnonzero(np.diff(steep) > 1) + 1):
        start = int(group[0])
        if start < end:
            continue
        loud = np.flatnonzero(level[start + 2 : start + 2 + reach] > before[start] - RETURN)
        if not len(loud):
            continue
        back = start + 2 + int(loud[0])
        low = max(back - 2, start + 2)
        stop = low + int(np.argmax(rise[low : back + 2]))
        if stop - start >= SHORTEST and rise[stop] > STEP and after[stop] > FAINT:
            yield start, stop, float(np.median(level[start + 1 : stop]))
            end = stop


def exact_edges(source: AudioSource, dip: Dip, channels: Sequence[int]) -> tuple[int, int] | None:
    """A dip's first sample and the one after its last, exactly; None if they cannot be told.

    Args:
        source: the recording.
        dip: to a millisecond.
        channels: numbers of the channels that it is in.
    """
    side = 3 * round(FRAME * source.sample_rate)
    rows = list(channels)
    found = []
    for at, turn in ((dip.start, 1), (dip.stop, -1)):
        # the frame of the edge in the middle, the sound at the left
        frame = at if turn > 0 else at - side // 3
        near = source.read(frame - side, frame + side // 3 + side)[rows].double().numpy()
        loudness = np.abs(near).max(axis=0)[::turn]
        inside = loudness[side + side // 3 :]
        # louder than anything inside, such as what a coding smears into it
        outside = float(np.square(loudness[:side]).mean()) ** 0.5
        threshold = max(1.5 * float(inside.max()), 0.3 * outside)
        loud = np.flatnonzero(loudness > threshold)
        if not len(loud):
            return None
        last = int(loud[-1]) + 1  # samples of ``near``, from the sound's side
        found.append(frame - side + last if turn > 0 else frame + side // 3 + side - last)
    start, stop = found
    return (start, stop) if 0 <= start < stop <= source.frames else None


def _mean(power: Levels, low: int, high: int) -> Levels:
    """Means of power [n] from ``low`` to ``high`` frames away; beyond the ends is silence."""
    total = np.concatenate((np.zeros(1), np.cumsum(power, dtype=np.float64)))
    at = np.arange(len(power))
    ends = [np.clip(at + place, 0, len(power)) for place in (low, high + 1)]
    made: Levels = (np.maximum(total[ends[1]] - total[ends[0]], 0) / (high + 1 - low)).astype(
        np.float32
    )
    return made


def _largest(level: Levels, low: int, high: int) -> Levels:
    """The largest of levels [n] from ``low`` to ``high`` frames away; there are none beyond."""
    padded = np.pad(level, (max(-low, 0), max(high, 0)), constant_values=-100)
    first = max(-low, 0)
    shifted = [padded[first + away :][: len(level)] for away in range(low, high + 1)]
    made: Levels = np.maximum.reduce(shifted)
    return made


def _decibels(power: Levels) -> Levels:
    made: Levels = 10 * np.log10(np.maximum(power, 1e-10))
    return made.astype(np.float32)
