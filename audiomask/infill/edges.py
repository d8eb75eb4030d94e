"""Edges of a long gap, extrapolated from both sides by autoregressive models.

These are the best filling of the first hundredths of a second, and they carry the phases of
partials into the gap. Their continuation of noise decays.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.infill.autoregressive import extrapolate
from audiomask.infill.gaps import Gap

#: the longest extrapolation of a side, in seconds and as a share of the gap
EXTENSION_SECONDS, _EXTENSION_SHARE = 0.06, 1 / 3
#: seconds of sound that models are estimated from, and their order
_CONTEXT, _ORDER = 0.2, 1000


class EdgeExtendedSource:
    """A recording with one gap whose edges are filled.

    Args:
        source: the recording.
        gap: the gap.
        gaps: all its gaps, none of which is read as sound.

    Attributes:
        before, after: the extrapolations at the gap's beginning and end, [C, n]; empty where the
            side is too short.
    """

    def __init__(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> None:
        self.source, self.gap = source, gap
        self.sample_rate, self.channels = source.sample_rate, source.channels
        self.frames = source.frames
        length = min(
            round(EXTENSION_SECONDS * source.sample_rate), int(_EXTENSION_SHARE * gap.length)
        )
        left, right = sides(source, gap, gaps)
        self.before = _extrapolated(left, length)
        self.after = _extrapolated(right.flip(1), length).flip(1)

    @property
    def inner(self) -> Gap:
        """What is still empty."""
        before, after = self.before.shape[1], self.after.shape[1]
        return Gap(self.gap.start + before, self.gap.stop - after)

    @property
    def uncertain_span(self) -> Gap:
        """The part whose tokens are predicted: the inner gap and the inner half of each edge."""
        before, after = self.before.shape[1], self.after.shape[1]
        return Gap(self.gap.start + before // 2, self.gap.stop - after // 2)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        samples = self.source.read(start, stop).clone()
        for at, part in (
            (self.gap.start, self.before),
            (self.gap.stop - self.after.shape[1], self.after),
        ):
            first, last = max(at, start), min(at + part.shape[1], stop)
            if first < last:
                samples[:, first - start : last - start] = part[:, first - at : last - at]
        return samples


def sides(
    source: AudioSource, gap: Gap, gaps: Sequence[Gap], seconds: float = _CONTEXT
) -> tuple[Tensor, Tensor]:
    """The sound [C, n] before and after a gap, ``seconds`` at most, up to the next gap."""
    context = round(seconds * source.sample_rate)
    low, high = neighbours(gap, gaps, source.frames)
    left = source.read(max(gap.start - context, low), gap.start)
    right = source.read(gap.stop, min(gap.stop + context, high))
    return left.nan_to_num(), right.nan_to_num()


def neighbours(gap: Gap, gaps: Sequence[Gap], frames: int) -> tuple[int, int]:
    """The span [first, end) around a gap that no other gap lies in."""
    before = max((other.stop for other in gaps if other.stop <= gap.start), default=0)
    after = min((other.start for other in gaps if other.start >= gap.stop), default=frames)
    return before, after


def _extrapolated(audio: Tensor, length: int) -> Tensor:
    """``length`` samples that continue audio [C, T]; none where T is less than that."""
    if audio.shape[1] < length or not length:
        return audio[:, :0]
    return extrapolate(audio, length, min(_ORDER, audio.shape[1] // 4))
