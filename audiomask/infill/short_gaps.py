"""Short gaps: filled by linear prediction (LPC) from the sound around them.

A gap gets the mean of the fillings of three long autoregressive models. They reach over 45 to 91
ms, as the close partials of a low chord need, which shorter models cannot tell apart. They are
estimated by Burg's method, the samples by Janssen's equations (Janssen, Veldhuis and Vries 1986;
``audiomask.infill.autoregressive``), as Mokrý and Rajmic (2024) recommend. The errors of different
models partly cancel in their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, resample
from audiomask.infill.autoregressive import burg, dithered, extrapolate, interpolate, solve_gap
from audiomask.infill.context import ramp
from audiomask.infill.edges import sides
from audiomask.infill.gaps import Gap


@dataclass(frozen=True)
class _Model:
    """Settings of an autoregressive model.

    Attributes:
        side: seconds of sound on each side that it is estimated from.
        reach: seconds that its coefficients span.
    """

    side: float
    reach: float


#: of order 2000, 3000 and 4000 at 44.1 kHz; for the choice see docs/short_gaps.md
MODELS = (_Model(0.1, 2000 / 44_100), _Model(0.2, 3000 / 44_100), _Model(0.4, 4000 / 44_100))
#: seconds of the longest gap that one model fills as well, in a tenth of the time: recordings
#: may have thousands of clicks
_CLICK, _CLICK_MODELS = 0.001, (_Model(0.05, 1000 / 44_100),)
#: highest order, as a share of the samples on the longer side
_COEFFICIENT_SHARE = 0.45
#: seconds of the longest gap that is solved as a whole
LONGEST = 0.3
#: sample rate of the models; recordings of twice that or more are decimated
_RATE = 44_100
#: order of the filling above the models' band, in recordings of higher rates, and the seconds a
#: side that it is estimated from
_ROUGH_ORDER, _ROUGH_SIDE = 200, 0.03
#: the level of a side that counts as much as a louder one, as a share of that
_QUIETEST = 1e-3
#: largest sample of a filling, as a multiple of the largest one beside it
_MAX_GAIN = 2.0


def fill_short(source: AudioSource, gap: Gap, gaps: Sequence[Gap] = ()) -> Tensor:
    """The samples of a short gap, by linear prediction.

    Gaps longer than LONGEST get both sides' extrapolations, cross-faded. Every channel has its own
    models.

    Args:
        source: the recording.
        gap: the gap; its samples are ignored.
        gaps: all gaps of the recording, none of which is read as sound.

    Returns:
        float32 [C, gap.length], all finite.
    """
    before, after = sides(source, gap, gaps, max(model.side for model in MODELS))
    rate = source.sample_rate
    if gap.length > LONGEST * rate:
        filled = _crossfaded(before, after, gap.length, rate)
    else:
        audio = torch.cat((before, before.new_zeros(len(before), gap.length), after), dim=1)
        filled = lpc_fill(audio, before.shape[1], before.shape[1] + gap.length, rate)
    known = torch.cat((before, after), dim=1)
    if not known.shape[1]:
        return filled
    loudest = _MAX_GAIN * known.abs().amax(dim=1, keepdim=True)
    return filled.clamp(-loudest, loudest).nan_to_num(0.0)


def lpc_fill(audio: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """The samples of a gap by the mean of MODELS, or of a click by one model.

    At high sample rates the models fill the band below half of ``_RATE``; the band above it is
    filled by one of low order.

    Args:
        audio: [C, T], the gap and the sound on its sides. Samples in the gap are ignored.
        start, stop: samples [start, stop) of the gap.
        sample_rate: in Hz.

    Returns:
        float32 [C, stop - start].
    """
    factor = sample_rate // _RATE
    if factor < 2:
        return torch.stack(
            [_average_fill(one, start, stop, sample_rate) for one in audio.double()]
        ).float()
    # The resampler mixes samples of the gap with those beside it, so that they must be set.
    side = round(_ROUGH_SIDE * sample_rate)
    low, high = max(start - side, 0), min(stop + side, audio.shape[1])
    rough = audio.clone()
    rough[:, start:stop] = interpolate(audio[:, low:high], start - low, stop - low, _ROUGH_ORDER)
    slow = resample(rough, factor, 1)
    first, last = -(-start // factor), -(-stop // factor)
    change = torch.zeros_like(slow)
    if first < last:
        better = lpc_fill(slow, first, last, sample_rate // factor)
        change[:, first:last] = better - slow[:, first:last]
    return rough[:, start:stop] + resample(change, 1, factor)[:, start:stop]


def _average_fill(audio: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """The mean of the models' fillings of the gap [start, stop) of audio, double [T]."""
    models = MODELS if stop - start > _CLICK * sample_rate else _CLICK_MODELS
    total = audio.new_zeros(stop - start)
    for model in models:
        side = round(model.side * sample_rate)
        parts = [audio[max(start - side, 0) : start], audio[stop : stop + side]]
        longer = max(map(len, parts))
        order = min(round(model.reach * sample_rate), int(_COEFFICIENT_SHARE * longer))
        coefficients = burg(dithered(_of_one_level(parts)), order)
        total += solve_gap(audio, start, stop, coefficients) / len(models)
    return total


def _of_one_level(parts: Sequence[Tensor]) -> list[Tensor]:
    """Passages [T] of the same mean power; quiet ones are raised by 1 / _QUIETEST at most.

    Otherwise the louder side of a gap decides the model alone. A quiet side's partials are lost in
    the louder one's errors, although the gap's equations need both.
    """
    levels = [float(part.square().mean().sqrt()) if len(part) else 0.0 for part in parts]
    loudest = max(levels)
    if not loudest:
        return list(parts)
    pairs = zip(parts, levels, strict=True)
    return [part / max(level, _QUIETEST * loudest) for part, level in pairs]


def _crossfaded(before: Tensor, after: Tensor, length: int, sample_rate: int) -> Tensor:
    """``length`` samples [C, length] from the extrapolations of both sides [C, n], cross-faded."""
    order = round(MODELS[0].reach * min(sample_rate, _RATE))
    left, right = (
        extrapolate(side, length, min(order, side.shape[1] // 4))
        for side in (before, after.flip(1))
    )
    shorter, longer = sorted((before.shape[1], after.shape[1]))
    if shorter < longer // 4:  # too little to go on with
        return left if before.shape[1] == longer else right.flip(1)
    return torch.lerp(left, right.flip(1), ramp(length))
