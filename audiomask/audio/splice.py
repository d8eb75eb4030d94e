"""Splicing: patches set into a copy that is otherwise bit-identical."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from audiomask.audio.files import AudioFile
from audiomask.audio.gaps import Gap
from audiomask.audio.writer import AudioWriter

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Patch:
    """New samples for a part of a file.

    Attributes:
        start: the first sample they replace.
        samples: float Tensor [C, n].
    """

    start: int
    samples: Tensor

    @property
    def stop(self) -> int:
        """The sample after the last they replace."""
        return self.start + self.samples.shape[1]


def copy_with_patches(
    source: AudioFile, patches: Iterable[Patch], writer: AudioWriter
) -> Iterator[int]:
    """Copy a file block by block, with patches in place of some of its samples.

    Samples outside the patches are copied as they are stored. Patches are asked for one at a
    time and must come in order; only one is held.

    Args:
        source: what to copy.
        patches: sorted, not overlapping, inside the source.
        writer: where to; the same number of channels.

    Yields:
        How many samples are done, at the end ``source.frames``.

    Raises:
        ValueError: a patch overlaps the one before or passes the end.
    """
    done = 0
    for patch in patches:
        if patch.start < done or patch.stop > source.frames:
            raise ValueError(
                f"patch [{patch.start}, {patch.stop}) is not within [{done}, {source.frames})"
            )
        yield from _copy(source, done, patch.start, writer)
        writer.write(patch.samples)
        done = patch.stop
        yield done
    yield from _copy(source, done, source.frames, writer)


def crossfade_bounds(gaps: Sequence[Gap], frames: int, fade: int) -> list[tuple[int, int]]:
    """How many samples a crossfade may take on the left and right of every gap.

    At most ``fade``; never samples of a neighbouring gap or beyond the file. Two gaps share the
    sound between them, so that their crossfades do not overlap either.

    Args:
        gaps: sorted and not touching, as ``merge_gaps`` gives them.
        frames: samples of the file.
        fade: the longest crossfade, in samples.

    Raises:
        ValueError: the gaps are not sorted and apart, or pass the end.
    """
    edges = [0, *(edge for gap in gaps for edge in (gap.start, gap.stop)), frames]
    if any(left > right for left, right in itertools.pairwise(edges)):
        raise ValueError("gaps must be sorted, apart, and inside the file")
    bounds = []
    for index in range(len(gaps)):
        left, right = (edges[2 * index + side + 1] - edges[2 * index + side] for side in (0, 2))
        left = left if index == 0 else left // 2
        right = right if index == len(gaps) - 1 else right // 2
        bounds.append((min(left, fade), min(right, fade)))
    return bounds


def _copy(source: AudioFile, start: int, stop: int, writer: AudioWriter) -> Iterator[int]:
    for position in range(start, stop, _BLOCK):
        end = min(position + _BLOCK, stop)
        writer.write_raw(source.read_raw(position, end))
        yield end
