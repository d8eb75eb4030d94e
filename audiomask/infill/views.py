"""Views of a recording for one gap: some of its channels, without their DC offset or its gaps.

No model continues a DC offset across a gap: fillings would sink to zero in the middle, an audible
thump.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.infill.gaps import Gap

#: seconds a side in which an offset is estimated, and of the blocks whose means are compared; a
#: block holds a whole period of any audible frequency
_SIDE_SECONDS, _BLOCK_SECONDS = 3.0, 0.05
#: the fewest blocks for an estimate, and for one of the deviation by its median
_MIN_BLOCKS, _MAD_BLOCKS = 4, 20
#: the smallest offset, in standard errors and absolute. Without an offset, means of music differ
#: from block to block and from side to side.
_MIN_Z_SCORE, _MIN_OFFSET = 4.0, 1e-3


class ChannelView:
    """Some channels of a recording.

    Args:
        source: the recording.
        numbers: which, from 0.
    """

    def __init__(self, source: AudioSource, numbers: Sequence[int]) -> None:
        self.source, self.numbers = source, list(numbers)
        self.sample_rate, self.frames = source.sample_rate, source.frames
        self.channels = len(self.numbers)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        return self.source.read(start, stop)[self.numbers]


class _DCFreeView:
    """A recording without its DC offset around a gap.

    The offset is the left side's before the gap, the right side's after it, and interpolated
    linearly in it.

    Args:
        source: the recording.
        gap: the gap; it reads as silence.
        left, right: the offsets, [C].
    """

    def __init__(self, source: AudioSource, gap: Gap, left: Tensor, right: Tensor) -> None:
        self.source, self.gap, self.left, self.right = source, gap, left, right
        self.sample_rate, self.frames = source.sample_rate, source.frames
        self.channels = source.channels

    def offset(self, start: int, stop: int) -> Tensor:
        """The offset at samples [start, stop), float32 [C, stop - start]; 0 outside."""
        at = torch.arange(start, stop)
        share = ((at - self.gap.start + 1) / (self.gap.length + 1)).clamp(0, 1).double()
        line = torch.lerp(self.left.double()[:, None], self.right.double()[:, None], share)
        line[:, (at < 0) | (at >= self.frames)] = 0
        return line.float()

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        samples = self.source.read(start, stop) - self.offset(start, stop)
        samples[:, max(self.gap.start - start, 0) : max(self.gap.stop - start, 0)] = 0
        return samples


def without_dc(source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> _DCFreeView | None:
    """A recording without its DC offset around a gap; None if it has none.

    Args:
        source: the recording.
        gap: the gap.
        gaps: all gaps in these channels, none of which is read as sound.
    """
    left = dc_offset(source, gap.start, -1, gaps)
    right = dc_offset(source, gap.stop, 1, gaps)
    if left is None and right is None:
        return None
    # a side too short for an estimate takes the other's
    left = right if left is None else left
    right = left if right is None else right
    assert left is not None
    assert right is not None
    return _DCFreeView(source, gap, left, right) if left.any() or right.any() else None


def dc_offset(source: AudioSource, edge: int, direction: int, gaps: Sequence[Gap]) -> Tensor | None:
    """The DC offset [C] of the sound on one side of a gap, 0 where it is not significant.

    The interquartile mean of block means, which short disturbances do not move.

    Args:
        source: the recording.
        edge: the gap's first sample, or the one after its last.
        direction: -1 for the sound before the edge, 1 for that after it.
        gaps: spans to leave out.

    Returns:
        None where there is too little sound.
    """
    length, count = (
        round(_BLOCK_SECONDS * source.sample_rate),
        round(_SIDE_SECONDS / _BLOCK_SECONDS),
    )
    reach = direction * count * length
    start, stop = max(min(edge, edge + reach), 0), min(max(edge, edge + reach), source.frames)
    count = (stop - start) // length
    if count < _MIN_BLOCKS:
        return None
    if direction < 0:
        start = stop - count * length
    audio = source.read(start, start + count * length).nan_to_num().double()
    means = audio.view(len(audio), count, length).mean(dim=2)
    known = torch.ones(count, dtype=torch.bool)
    for gap in gaps:
        if gap.stop > start and gap.start < stop:
            known[max(gap.start - start, 0) // length : -(-(gap.stop - start) // length)] = False
    means = means[:, known]
    if means.shape[1] < _MIN_BLOCKS:
        return None
    ranked, quarter = means.sort(dim=1).values, means.shape[1] // 4
    offset = ranked[:, quarter : means.shape[1] - quarter].mean(dim=1)
    # of few blocks the standard deviation is steadier than the median; at least that of noise
    spread = torch.maximum(
        (means - offset[:, None]).abs().median(dim=1).values * 1.4826
        if means.shape[1] >= _MAD_BLOCKS
        else means.std(dim=1),
        (audio - audio.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt() / length**0.5,
    )
    error = 1.2 * spread / means.shape[1] ** 0.5  # of an interquartile mean
    significant = (offset.abs() >= _MIN_OFFSET) & (offset.abs() >= _MIN_Z_SCORE * error)
    return torch.where(significant, offset, 0.0)


def read_known(
    source: AudioSource, start: int, stop: int, gaps: Sequence[Gap]
) -> tuple[Tensor, Tensor]:
    """Samples [C, stop - start] with zeros in gaps, and which of them are known, bool [T]."""
    audio = source.read(start, stop).nan_to_num(0.0, 0.0, 0.0).clone()
    known = torch.zeros(stop - start, dtype=torch.bool)
    known[max(-start, 0) : max(min(stop, source.frames) - start, 0)] = True
    for gap in gaps:
        if gap.start < stop and gap.stop > start:
            known[max(gap.start - start, 0) : max(gap.stop - start, 0)] = False
    audio[:, ~known] = 0
    return audio, known


def like(other: AudioSource, source: AudioSource) -> AudioSource:
    """Another recording at the rate and with the number of channels of a recording.

    With another number of channels all are the mean of its own.
    """
    if other.sample_rate != source.sample_rate:
        other = ResampledSource(other, source.sample_rate)
    return other if other.channels == source.channels else _MeanSource(other, source.channels)


class _MeanSource:
    """The mean of a recording's channels, in each of some channels."""

    def __init__(self, source: AudioSource, channels: int) -> None:
        self.source, self.channels = source, channels
        self.sample_rate, self.frames = source.sample_rate, source.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        mean = self.source.read(start, stop).mean(dim=0, keepdim=True)
        return mean.expand(self.channels, -1).clone()


class BridgedSource:
    """A recording with samples in one gap, and silence in the others.

    Args:
        source: the recording.
        gap: the gap.
        gaps: all its gaps.
        samples: of the gap, [C, gap.length].
    """

    def __init__(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], samples: Tensor) -> None:
        self.source, self.gap, self.samples = source, gap, samples
        self.gaps = list(gaps)
        self.sample_rate, self.channels = source.sample_rate, source.channels
        self.frames = source.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        audio, _ = read_known(self.source, start, stop, self.gaps)
        first, last = max(self.gap.start, start), min(self.gap.stop, stop)
        if first < last:
            part = self.samples[:, first - self.gap.start : last - self.gap.start]
            audio[:, first - start : last - start] = part
        return audio
