"""Splicing: a copy with patches, bit-identical elsewhere."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from audiomask.audio.pcm import BITS, Raw, count_clipped, to_floats, to_integers
from audiomask.audio.writer import AudioWriter
from audiomask.infill.gaps import Gap

BLOCK = 1 << 16


class RawSource(Protocol):
    """A file, or what reads like one, whose samples are copied as they are stored."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def frames(self) -> int:
        """Samples per channel."""

    def read_raw(self, start: int, stop: int) -> Raw:
        """Samples [start, stop) exactly as stored, [stop - start, C]."""


@dataclass(frozen=True)
class Patch:
    """New samples for a part of a file.

    Attributes:
        start: the first sample they replace.
        samples: float Tensor [number of channels, n].
        channels: numbers of the channels they are for; empty for all.
    """

    start: int
    samples: Tensor
    channels: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    def stop(self) -> int:
        """The sample after the last they replace."""
        return self.start + self.samples.shape[1]


_P = TypeVar("_P", bound=Patch)


def copy_with_patches(
    source: RawSource, patches: Iterable[Patch], writer: AudioWriter
) -> Iterator[int]:
    """Copy a file block by block, with patches in place of some of its samples.

    All other samples are copied as they are stored. Each patch is requested only once all samples
    before it are copied.

    Args:
        source: the file to copy.
        patches: sorted by their start, inside the source; they may overlap in different channels.
        writer: the destination, of the same number of channels.

    Yields:
        Samples done, at the end ``source.frames``.

    Raises:
        ValueError: a patch begins before the one before it, overlaps one in a channel, or passes
            the end.
    """
    waiting = iter(patches)
    coming = next(waiting, None)
    inside: list[Patch] = []
    free = [0] * source.channels  # each channel's end of patches so far
    done = 0
    while done < source.frames:
        while coming is not None and coming.start <= done:
            there = coming.channels or tuple(range(source.channels))
            earliest = max(done, *(free[channel] for channel in there))
            if coming.start < earliest or coming.stop > source.frames:
                raise ValueError(
                    f"patch [{coming.start}, {coming.stop}) is not within"
                    f" [{earliest}, {source.frames})"
                )
            for channel in there:
                free[channel] = coming.stop
            inside.append(coming)
            coming = next(waiting, None)
        edges = [patch.stop for patch in inside]
        if coming is not None:
            edges.append(coming.start)
        stop = min(done + BLOCK, source.frames, *edges)
        raw = source.read_raw(done, stop)
        for patch in inside:
            raw = _apply_patch(raw, patch, done, writer)
        writer.write_raw(raw)
        done = stop
        inside = [patch for patch in inside if patch.stop > done]
        yield done
    if coming is not None:
        raise ValueError(f"patch at {coming.start} is not within [0, {source.frames})")


def crossfade_bounds(
    gaps: Sequence[Gap], frames: int, fade: int, channels: int = 1
) -> list[tuple[int, int]]:
    """Samples of the crossfade on the left and right of every gap.

    At most ``fade``, and never samples of another gap or beyond the file. Two gaps of a channel
    share the sound between them, so that their crossfades do not overlap.

    Args:
        gaps: sorted and, in each channel, not touching, as ``merge_gaps`` gives them.
        frames: samples of the file.
        fade: the longest crossfade, in samples.
        channels: of the file.

    Raises:
        ValueError: the gaps of a channel are not sorted and apart, or pass the end.
    """
    bounds = [(fade, fade)] * len(gaps)
    for channel in range(channels):
        numbers = [n for n, gap in enumerate(gaps) if channel in gap.channel_numbers(channels)]
        for place, number in enumerate(numbers):
            gap, last = gaps[number], place == len(numbers) - 1
            before = gaps[numbers[place - 1]].stop if place else 0
            after = frames if last else gaps[numbers[place + 1]].start
            left, right = gap.start - before, after - gap.stop
            if left < 0 or right < 0:
                raise ValueError("gaps must be sorted, apart, and inside the file")
            left, right = left // 2 if place else left, right if last else right // 2
            bounds[number] = min(bounds[number][0], left), min(bounds[number][1], right)
    return bounds


def sorted_by_start(patches: Iterable[_P], starts: Sequence[int]) -> Iterator[_P]:
    """Patches in the order of their first samples, each yielded as early as possible.

    Gaps of different channels may overlap in time, and only some patches have crossfades.

    Args:
        patches: in the order of their gaps.
        starts: the earliest first sample of each.
    """
    heap: list[tuple[int, int, _P]] = []
    earliest = [*accumulate(reversed(starts), min)][::-1][1:]  # of all that come after each
    for number, (patch, coming) in enumerate(zip_longest(patches, earliest)):
        heapq.heappush(heap, (patch.start, number, patch))
        while heap and (coming is None or heap[0][0] <= coming):
            yield heapq.heappop(heap)[2]


def _apply_patch(raw: Raw, patch: Patch, start: int, writer: AudioWriter) -> Raw:
    """Stored samples [n, C] from ``start`` on, with a patch's samples in its channels.

    They stay integers where source and writer store integers, and become floats otherwise, so that
    unpatched samples are written exactly as without a patch.
    """
    first = start - patch.start
    samples = patch.samples[:, first : first + len(raw)]
    there = list(patch.channels) or slice(None)
    if raw.dtype == np.int32 and writer.subtype in BITS:
        made = raw.copy()
        made[:, there] = to_integers(samples, writer.subtype)
        writer.clipped += count_clipped(samples, writer.subtype)
        return made
    made = to_floats(raw).copy()
    made[:, there] = samples.T.numpy()
    return made
