"""Views: a recording as the filling of one gap sees it, some of its channels, without an offset.

A constant offset (DC) says nothing of the sound, and no model carries it across a gap: fillings
would sink to zero in its middle and be heard as a thump.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.infill.gaps import Gap

#: seconds of sound a side that an offset is looked for in, and of the pieces whose means are
#: compared; a piece holds a whole period of anything that is heard
STRETCH, PIECE = 3.0, 0.05
#: pieces that tell of an offset, at least, and of which some may be far off
FEWEST, MANY = 4, 20
#: An offset is one if it is so many times as large as its standard error, and at least so large.
#: Music without one has means that differ from piece to piece, and from side to side.
SURE, LEAST = 4.0, 1e-3


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


class DCFreeView:
    """A recording without the constant offset that it has around a gap.

    Before the gap the offset is that of the left side, behind it that of the right side, and in
    it a line from one to the other.

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


def without_dc(source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> DCFreeView | None:
    """A recording without its offset around a gap; None if it has none.

    Args:
        gaps: all that count in these channels, so that none is taken for sound.
    """
    left = dc_offset(source, gap.start, -1, gaps)
    right = dc_offset(source, gap.stop, 1, gaps)
    if left is None and right is None:
        return None
    # a side with too little sound to tell goes on as the other
    left = right if left is None else left
    right = left if right is None else right
    assert left is not None
    assert right is not None
    return DCFreeView(source, gap, left, right) if left.any() or right.any() else None


def dc_offset(source: AudioSource, edge: int, direction: int, gaps: Sequence[Gap]) -> Tensor | None:
    """The constant offset [C] of the sound on one side of a gap, 0 where none is sure.

    The mean of the middle half of the means of pieces: what is off for a while does not move it.

    Args:
        edge: where the gap begins or ends.
        direction: -1 for the sound before the edge, 1 for that behind it.
        gaps: what is no sound.

    Returns:
        None where there is too little sound to tell.
    """
    length, count = round(PIECE * source.sample_rate), round(STRETCH / PIECE)
    reach = direction * count * length
    start, stop = max(min(edge, edge + reach), 0), min(max(edge, edge + reach), source.frames)
    count = (stop - start) // length
    if count < FEWEST:
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
    if means.shape[1] < FEWEST:
        return None
    ranked, quarter = means.sort(dim=1).values, means.shape[1] // 4
    offset = ranked[:, quarter : means.shape[1] - quarter].mean(dim=1)
    # of few pieces the deviation says more than its median; noise alone has that of its power
    spread = torch.maximum(
        (means - offset[:, None]).abs().median(dim=1).values * 1.4826
        if means.shape[1] >= MANY
        else means.std(dim=1),
        (audio - audio.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt() / length**0.5,
    )
    error = 1.2 * spread / means.shape[1] ** 0.5  # of such a mean
    sure = (offset.abs() >= LEAST) & (offset.abs() >= SURE * error)
    return torch.where(sure, offset, 0.0)
