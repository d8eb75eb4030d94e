"""Short gaps: filled by linear prediction (LPC) from the sound around them.

Predictable sound, such as solos, gets the mean of two predictors' fillings; other sound that of
Janssen's method.

The samples solve Janssen's equations (Janssen, Veldhuis and Vries 1986) around one gap, as Mokrý
and Rajmic (2024) recommend. Predictors are estimated by least squares in both directions (Marple
1980), which needs less sound than Burg's method for the same order, so that the sound is closer to
stationary. The errors of two predictors partly cancel in their mean.
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
class _Predictor:
    """Settings of a linear predictor.

    Attributes:
        side: seconds of sound on each side that it is estimated from.
        reach: seconds that its coefficients span.
    """

    side: float
    reach: float


#: of order 600 and 1000 at 44.1 kHz; for the choice see docs/short_gaps.md
PREDICTORS = (_Predictor(0.03, 600 / 44_100), _Predictor(0.05, 1000 / 44_100))
#: highest order, as a share of the samples on the longer side
_COEFFICIENT_SHARE = 0.46
#: power of the noise added to regularize the fit, as a share of the sound's
_NOISE = 1e-9
#: seconds of sound that predictors need on either side, and of the longest gap that they fill
MIN_SIDE, LONGEST = 0.01, 0.3
#: sample rate of the predictors; recordings of twice that or more are decimated
_RATE = 44_100
#: order of the filling above the predictors' band, in recordings of higher rates
_ROUGH_ORDER = 200
#: prediction gain, in dB, from which sound is predictable: most solos have more, most bands less
PREDICTABLE_DB = 35.0
#: highest order of Janssen's method
_JANSSEN_ORDER = 1500
#: largest sample of a filling, as a multiple of the largest one beside it
_MAX_GAIN = 2.0


def fill_short(source: AudioSource, gap: Gap, gaps: Sequence[Gap] = ()) -> Tensor:
    """The samples of a short gap, by linear prediction.

    Gaps up to LONGEST with predictable sound on both sides are filled by PREDICTORS, others by
    Janssen's method. Every channel has its own models.

    Args:
        source: the recording.
        gap: the gap; its samples are ignored.
        gaps: all gaps of the recording, none of which is read as sound.

    Returns:
        float32 [C, gap.length], all finite.
    """
    before, after = sides(source, gap, gaps)
    start, stop = before.shape[1], before.shape[1] + gap.length
    audio = torch.cat((before, before.new_zeros(len(before), gap.length), after), dim=1)
    rate = source.sample_rate
    cut_off = min(start, after.shape[1]) < MIN_SIDE * rate
    if gap.length > LONGEST * rate or cut_off or predictability_db(before, after) < PREDICTABLE_DB:
        filled = janssen(audio, start, stop)
    else:
        filled = lpc_fill(audio, start, stop, rate)
    loudest = _MAX_GAIN * audio.abs().amax(dim=1, keepdim=True)
    return filled.clamp(-loudest, loudest).nan_to_num(0.0)


def predictability_db(before: Tensor, after: Tensor) -> float:
    """The lower prediction gain of the sound [C, n] on both sides of a gap, in dB.

    Minus infinity where a side has less than eight samples.
    """
    if min(before.shape[1], after.shape[1]) < 8:
        return -math.inf
    return min(prediction_gain(side, min(ORDER, side.shape[1] // 4)) for side in (before, after))


def janssen(audio: Tensor, start: int, stop: int) -> Tensor:
    """The samples [start, stop) of audio [C, T] by Janssen's method."""
    longer = max(start, audio.shape[1] - stop)
    return interpolate(audio, start, stop, model_order(stop - start, longer, _JANSSEN_ORDER))


def lpc_fill(audio: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """The samples of a gap by the mean of PREDICTORS.

    At high sample rates the predictors fill the band below half of ``_RATE``; the band above it is
    filled by Janssen's method with a low order.

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
    side = round(PREDICTORS[0].side * sample_rate)
    low, high = max(start - side, 0), min(stop + side, audio.shape[1])
    rough = audio.clone()
    rough[:, start:stop] = interpolate(audio[:, low:high], start - low, stop - low, _ROUGH_ORDER, 1)
    slow = resample(rough, factor, 1)
    first, last = -(-start // factor), -(-stop // factor)
    change = torch.zeros_like(slow)
    if first < last:
        better = lpc_fill(slow, first, last, sample_rate // factor)
        change[:, first:last] = better - slow[:, first:last]
    return rough[:, start:stop] + resample(change, 1, factor)[:, start:stop]


def _average_fill(audio: Tensor, start: int, stop: int, sample_rate: int) -> Tensor:
    """The mean of the fillings by PREDICTORS of the gap [start, stop) of audio, double [T]."""
    total = audio.new_zeros(stop - start)
    for model in PREDICTORS:
        side = round(model.side * sample_rate)
        parts = [audio[max(start - side, 0) : start], audio[stop : stop + side]]
        shorter, longer = sorted(map(len, parts))
        order = min(round(model.reach * sample_rate), int(_COEFFICIENT_SHARE * longer), shorter)
        parts = [part for part in parts if len(part) > order and part.any()]
        if order and parts:  # otherwise both sides are silent
            total += solve_gap(audio, start, stop, fit_predictor(parts, order)) / len(PREDICTORS)
    return total


def fit_predictor(parts: Sequence[Tensor], order: int) -> Tensor:
    """Coefficients of one linear predictor of several passages, by least squares.

    They minimize the squared forward and backward prediction errors, summed over all passages (the
    modified covariance method). The model may be unstable as a recursive filter.

    Args:
        parts: double [T] each, T more than ``order``; not all silent.
        order: how many coefficients.

    Returns:
        double [order + 1]: e(t) = Σ a(j) x(t - j), a(0) = 1.
    """
    loudest = max(float(part.abs().max()) for part in parts)
    products = torch.from_numpy(_covariance_sums([(p / loudest).numpy() for p in parts], order))
    # a backward error is a forward one with reversed coefficients
    products += products.flip(0, 1).T.clone()
    system, goal = products[1:, 1:], products[0, 1:]
    system.diagonal().add_(_NOISE * system.diagonal().mean())
    factor = torch.linalg.cholesky(system, upper=True)
    found = torch.cholesky_solve(-goal[:, None], factor, upper=True)[:, 0]
    return torch.cat((found.new_ones(1), found))


def _covariance_sums(
    parts: Sequence[npt.NDArray[np.float64]], order: int
) -> npt.NDArray[np.float64]:
    """Sums of x(t - i) x(t - j) over all t of all parts [T], from ``order`` to T - 1.

    Returns:
        [order + 1, order + 1], i and j from 0 to ``order``; zeros below the diagonal.
    """
    total = np.zeros((order + 1, order + 1))
    for part in parts:
        # circular wrap-around does not reach the lags wanted
        size = next_fast_len(len(part), real=True)
        spectrum = np.fft.rfft(part, size) * np.fft.rfft(part[order:], size).conj()
        row = np.fft.irfft(spectrum, size)[: order + 1][::-1]
        total[0] += row
        # in the next row, every sum begins and ends a sample earlier
        added, dropped = part[:order][::-1], part[len(part) - order :][::-1]
        for index in range(order):
            row = row[:-1] + added[index] * added[index:] - dropped[index] * dropped[index:]
            total[index + 1, index + 1 :] += row
    return total


def solve_gap(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """The samples of a gap that minimize the sum of squared prediction errors.

    Args:
        audio: double [T], at least ``order`` samples on each side; those in the gap are ignored.
        start, stop: samples [start, stop) of the gap.
        coefficients: double [order + 1], of any predictor.

    Returns:
        double [stop - start].
    """
    order, length = len(coefficients) - 1, stop - start
    known = audio[start - order : stop + order].numpy().copy()
    known[order : order + length] = 0
    # the normal equations are Toeplitz: the autocorrelation of the coefficients
    size = next_fast_len(len(known), real=True)
    power = np.square(np.abs(np.fft.rfft(coefficients.numpy(), size)))
    column = np.zeros(length)
    lags = np.fft.irfft(power, size)[: min(order + 1, length)]
    column[: len(lags)] = lags
    made = np.fft.irfft(np.fft.rfft(known, size) * power, size)[order : order + length]
    return torch.from_numpy(solve_toeplitz(column, -made, check_finite=False))
