"""Short gaps: filled by linear prediction (LPC) from the sound around them.

Predictable sound, such as solos, gets the mean of two predictors' fillings; any other gets that of
Janssen's method.

The samples solve Janssen's equations (Janssen, Veldhuis and Vries 1986) around one gap, as Mokrý
and Rajmic (2024) found it best. The models are estimated otherwise than theirs: by least squares
over both directions (Marple 1980), which takes less sound than Burg's method, so that models as
long know the nearest surroundings alone, and music does not stay the same for longer. Two models
differ where they are wrong, and their mean is less so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import next_fast_len
from scipy.linalg import solve_toeplitz
from torch import Tensor

from audiomask.audio.source import AudioSource, resample
from audiomask.infill.autoregressive import interpolate, model_order, prediction_gain
from audiomask.infill.edges import ORDER, sides
from audiomask.infill.gaps import Gap


@dataclass(frozen=True)
class Model:
    """How a linear predictor of a gap's surroundings is made.

    Attributes:
        side: seconds of sound on each side that it is estimated from.
        reach: seconds that its coefficients reach back.
    """

    side: float
    reach: float


#: 600 and 1000 coefficients at 44.1 kHz; docs/short_gaps.md tells how they were chosen
MODELS = (Model(0.03, 600 / 44_100), Model(0.05, 1000 / 44_100))
#: most coefficients for each sample on a side
SHARE = 0.46
#: power of the noise assumed in the sound, as a share of its own, so that no model is too sure
NOISE = 1e-9
#: seconds of sound that models need on either side, and of the longest gap that they fill
LEAST_SIDE, LONGEST = 0.01, 0.3
#: models work at this rate, or up to twice it; at a higher one they would take more coefficients
RATE = 44_100
#: coefficients that fill what is above the models' band in recordings of higher rates
ROUGH_ORDER = 200
#: prediction gain, in dB, of predictable sound: most solos have more, most bands less
PREDICTABLE_DB = 35.0
#: most coefficients of Janssen's method
JANSSEN_ORDER = 1500
#: a filling's samples are at most so many times as large as any beside it
LOUDEST = 2.0


def fill_short(source: AudioSource, gap: Gap, gaps: Sequence[Gap] = ()) -> Tensor:
    """The samples of a short gap, by linear prediction.

    Gaps up to LONGEST with predictable sound on both sides are filled by MODELS, others by
    Janssen's method. What is in the gap does not matter. Every channel has models of its own.

    Args:
        source: the recording.
        gap: where.
        gaps: all its gaps, so that no other is taken for sound.

    Returns:
        float32 [C, gap.length], all finite.
    """
    before, after = sides(source, gap, gaps)
    start, stop = before.shape[1], before.shape[1] + gap.length
    audio = torch.cat((before, before.new_zeros(len(before), gap.length), after), dim=1)
    rate = source.sample_rate
    cut_off = min(start, after.shape[1]) < LEAST_SIDE * rate
    if gap.length > LONGEST * rate or cut_off or predictability_db(before, after) < PREDICTABLE_DB:
        filled = janssen(audio, start, stop)
    else:
        filled = lpc_fill(audio, start, stop, rate)
    loudest = LOUDEST * audio.abs().amax(dim=1, keepdim=True)
    return filled.clamp(-loudest, loudest).nan_to_num(0.0)


def predictability_db(before: Tensor, after: Tensor) -> float:
    """The prediction gain of the sound [C, n] on both sides of a gap, in dB: the lesser one.

    Minus infinity where there is next to nothing on a side.
    """
    if min(before.shape[1], after.shape[1]) < 8:
        return -math.inf
    return min(prediction_gain(side, min(ORDER, side.shape[1] // 4)) for side in (before, after))


def janssen(audio: Tensor, start: int, stop: int) -> Tensor:
    """The samples [start, stop) of audio [C, T] by Janssen's method with long models."""
    longer = max(start, audio.shape[1] - stop)
    return interpolate(audio, start, stop, model_order(stop - start, longer, JANSSEN_ORDER))


def lpc_fill(audio: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """The samples of a gap as MODELS predict them.

    At high rates they say only what is below half of their own rate. Above it, where there is
    little, a rough filling by Janssen's method has to do.

    Args:
        audio: [C, T], the gap and the sound on its sides. What is in the gap does not matter.
        start: first sample of the gap.
        stop: the sample after its last.
        sample_rate: samples a second.

    Returns:
        float32 [C, stop - start].
    """
    factor = sample_rate // RATE
    if factor < 2:
        return torch.stack(
            [average_fill(one, start, stop, sample_rate) for one in audio.double()]
        ).float()
    # The resampler mixes what is in the gap with what is just beside it, and there a rough filling
    # is as good as any.
    side = round(MODELS[0].side * sample_rate)
    low, high = max(start - side, 0), min(stop + side, audio.shape[1])
    rough = audio.clone()
    rough[:, start:stop] = interpolate(audio[:, low:high], start - low, stop - low, ROUGH_ORDER, 1)
    slow = resample(rough, factor, 1)
    first, last = -(-start // factor), -(-stop // factor)
    change = torch.zeros_like(slow)
    if first < last:
        better = lpc_fill(slow, first, last, sample_rate // factor)
        change[:, first:last] = better - slow[:, first:last]
    return rough[:, start:stop] + resample(change, 1, factor)[:, start:stop]


def average_fill(audio: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """The mean of the fillings of MODELS in the gap [start, stop) of audio, double [T]."""
    total = audio.new_zeros(stop - start)
    for model in MODELS:
        side = round(model.side * sample_rate)
        parts = [audio[max(start - side, 0) : start], audio[stop : stop + side]]
        shorter, longer = sorted(map(len, parts))
        order = min(round(model.reach * sample_rate), int(SHARE * longer), shorter)
        parts = [part for part in parts if len(part) > order and part.any()]
        if order and parts:  # between silence there is silence
            total += solve_gap(audio, start, stop, fit_predictor(parts, order)) / len(MODELS)
    return total


def fit_predictor(parts: Sequence[Tensor], order: int) -> Tensor:
    """Coefficients of one all-pole model of several stretches of sound, by least squares.

    The squared errors of predicting forwards and backwards are as small as they can be, added up
    over all stretches (the modified covariance method). The model need not be stable: it cannot
    be run on by itself.

    Args:
        parts: double [T] each, T more than ``order``; not all of it silence.
        order: how many coefficients.

    Returns:
        double [order + 1]: e(t) = Σ a(j) x(t - j), a(0) = 1.
    """
    loudest = max(float(part.abs().max()) for part in parts)
    products = torch.from_numpy(covariance_sums([(p / loudest).numpy() for p in parts], order))
    # an error backwards is one forwards with its coefficients in reverse
    products += products.flip(0, 1).T.clone()
    system, goal = products[1:, 1:], products[0, 1:]
    system.diagonal().add_(NOISE * system.diagonal().mean())
    factor = torch.linalg.cholesky(system, upper=True)
    found = torch.cholesky_solve(-goal[:, None], factor, upper=True)[:, 0]
    return torch.cat((found.new_ones(1), found))


def covariance_sums(
    parts: Sequence[npt.NDArray[np.float64]], order: int
) -> npt.NDArray[np.float64]:
    """Sums of x(t - i) x(t - j) over all t of all parts [T], from ``order`` to T - 1.

    Returns:
        [order + 1, order + 1], i and j from 0 to ``order``; zeros below the diagonal.
    """
    total = np.zeros((order + 1, order + 1))
    for part in parts:
        # a transform as long as the part: nothing wraps around to the lags wanted
        size = next_fast_len(len(part), real=True)
        spectrum = np.fft.rfft(part, size) * np.fft.rfft(part[order:], size).conj()
        row = np.fft.irfft(spectrum, size)[: order + 1][::-1]
        total[0] += row
        # a row further down, every sum begins and ends a sample earlier
        gained, lost = part[:order][::-1], part[len(part) - order :][::-1]
        for index in range(order):
            row = row[:-1] + gained[index] * gained[index:] - lost[index] * lost[index:]
            total[index + 1, index + 1 :] += row
    return total


def solve_gap(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """The samples of a gap that make the sum of the squared prediction errors least.

    Args:
        audio: double [T]; what is in the gap does not matter.
        start: first sample of the gap, no fewer than there are coefficients.
        stop: the sample after its last; as many follow.
        coefficients: double [order + 1], of any model.

    Returns:
        double [stop - start].
    """
    order, length = len(coefficients) - 1, stop - start
    known = audio[start - order : stop + order].numpy().copy()
    known[order : order + length] = 0
    # how two samples act together on the errors depends on their distance alone
    size = next_fast_len(len(known), real=True)
    power = np.square(np.abs(np.fft.rfft(coefficients.numpy(), size)))
    column = np.zeros(length)
    lags = np.fft.irfft(power, size)[: min(order + 1, length)]
    column[: len(lags)] = lags
    made = np.fft.irfft(np.fft.rfft(known, size) * power, size)[order : order + length]
    return torch.from_numpy(solve_toeplitz(column, -made, check_finite=False))
