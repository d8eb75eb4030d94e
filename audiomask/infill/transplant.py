"""Transplanting a passage into a gap: its level, and its joins with both sides.

At each side of the gap the recording is carried on by linear prediction for some hundredths of a
second, and fades into the passage. Where passage and recording agree at the join they are spliced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.infill.edges import EdgeExtendedSource
from audiomask.infill.gaps import Gap
from audiomask.infill.passages import Passage
from audiomask.infill.splice import Patch
from audiomask.infill.views import read_known

#: the longest fade inside a gap, in seconds and as a share of the gap
_FADE, _FADE_SHARE = 0.03, 0.25
#: seconds a side over which levels are compared, and the most that a level is changed, in dB: of a
#: passage of the recording itself, and of another recording
_LEVEL_SIDE, _MAX_GAIN, _FOREIGN_MAX_GAIN = 0.5, 3.0, 9.0
#: seconds beside a join that are compared, and the power of their difference below which the two
#: are the same
_SAME_SIDE, _SAME = 0.02, 1e-3
#: least mean square of audio whose level says something
_LEAST_POWER = 1e-7


def transplant(
    source: AudioSource,
    gap: Gap,
    gaps: Sequence[Gap],
    passage: Passage,
    origin: AudioSource,
    fades: tuple[int, int],
) -> Patch:
    """A patch that fills a gap with a passage.

    It lies in the gap, but on a side with too little sound to be carried on: there the fade is
    outside.

    Args:
        source: the recording.
        gap: the gap.
        gaps: all gaps of the recording, none of which is read as sound.
        passage: what to fill it with.
        origin: the recording that the passage is in, of the same rate and channels.
        fades: samples outside that may be used, on the left and the right.
    """
    offset = passage.start - gap.start
    there = [] if passage.foreign else list(gaps)
    same = [_agree(source, gap, gaps, origin, offset, there, left) for left in (True, False)]
    found = _gains(source, gap, gaps, origin, offset, there, passage.foreign)
    gains = [0.0 if one else gain for gain, one in zip(found, same, strict=True)]
    start, stop = gap.start - fades[0], gap.stop + fades[1]
    line = torch.linspace(gains[0], gains[1], gap.length)
    decibels = torch.cat(
        (line.new_full((fades[0],), gains[0]), line, line.new_full((fades[1],), gains[1]))
    )
    sound = origin.read(start + offset, stop + offset).nan_to_num(0.0, 0.0, 0.0)
    sound = sound * 10 ** (decibels / 20)
    extended = EdgeExtendedSource(source, gap, gaps)
    longest = min(round(_FADE * source.sample_rate), int(_FADE_SHARE * gap.length))
    lengths = [0, 0]  # of the fades outside that are kept
    for side, edge in enumerate((extended.before, extended.after)):
        left = side == 0
        if same[side]:
            continue
        if edge.shape[1]:
            known = edge[:, :longest] if left else edge[:, edge.shape[1] - longest :]
            begin = fades[0] if left else fades[0] + gap.length - known.shape[1]
        else:
            known = source.read(start, gap.start) if left else source.read(gap.stop, stop)
            begin, lengths[side] = (0 if left else fades[0] + gap.length), fades[side]
        span = slice(begin, begin + known.shape[1])
        sound[:, span] = fade_between(known, sound[:, span], left)
    first, last = fades[0] - lengths[0], sound.shape[1] - fades[1] + lengths[1]
    return Patch(start + first, sound[:, first:last])


def fade_between(known: Tensor, sound: Tensor, left: bool) -> Tensor:
    """A crossfade that keeps the power of two signals, however alike they are.

    Args:
        known, sound: [C, T].
        left: whether ``known`` comes first.
    """
    length = known.shape[1]
    if not length:
        return sound
    angle = torch.arange(1, length + 1) / (length + 1) * (math.pi / 2)
    a, b = (angle.cos(), angle.sin()) if left else (angle.sin(), angle.cos())
    power = known.double().square().sum() * sound.double().square().sum()
    product = (known.double() * sound.double()).sum()
    alike = float((product / power.sqrt()).clamp(0, 1)) if power > 0 else 0.0
    return (a * known + b * sound) / (1 + 2 * alike * a * b).sqrt()


def _gains(
    source: AudioSource,
    gap: Gap,
    gaps: Sequence[Gap],
    origin: AudioSource,
    offset: int,
    there: Sequence[Gap],
    foreign: bool,
) -> tuple[float, float]:
    """Gains in dB for the beginning and the end of a passage, from the levels beside it.

    A passage of the recording itself has its own level where no sound follows (or precedes) it.
    """
    side = round(_LEVEL_SIDE * source.sample_rate)
    most = _FOREIGN_MAX_GAIN if foreign else _MAX_GAIN
    found: list[float | None] = []
    for start in (gap.start - side, gap.stop):
        here, known = read_known(source, start, start + side, gaps)
        beside, known_too = read_known(origin, start + offset, start + offset + side, there)
        both = known & known_too
        if not both.any():
            found.append(None if known.any() or foreign else 0.0)
            continue
        ours, theirs = (float(x[:, both].double().square().mean()) for x in (here, beside))
        quiet = min(ours, theirs) < _LEAST_POWER
        found.append(None if quiet else 10 * math.log10(ours / theirs))
    left, right = found
    left, right = (right if left is None else left), (left if right is None else right)
    return (
        min(max(left or 0.0, -most), most),
        min(max(right or 0.0, -most), most),
    )


def _agree(
    source: AudioSource,
    gap: Gap,
    gaps: Sequence[Gap],
    origin: AudioSource,
    offset: int,
    there: Sequence[Gap],
    left: bool,
) -> bool:
    """Whether recording and passage are the same beside a join."""
    side = round(_SAME_SIDE * source.sample_rate)
    start = gap.start - side if left else gap.stop
    here, known = read_known(source, start, start + side, gaps)
    beside, known_too = read_known(origin, start + offset, start + offset + side, there)
    if not bool((known & known_too).all()):
        return False
    difference = float((here - beside).double().square().sum())
    return difference <= _SAME * float(here.double().square().sum())
