"""Autoregressive interpolation: a gap filled by linear prediction.

An all-pole model is estimated from the sound around a gap by Burg's method (Burg 1975). The samples
in the gap are those that make the model's squared prediction errors least (Janssen, Veldhuis and
Vries 1986). Janssen estimates models and samples in turn; with long models the second turn changes
nothing that can be measured. All of it is in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from scipy.linalg import solve_toeplitz
from scipy.linalg.blas import daxpy, ddot
from torch import Tensor

#: coefficients for each missing sample (Janssen's rule), and the most for any gap
_ORDER_RATIO, MAX_ORDER = 3, 1000
#: samples of the longer side for each coefficient: with fewer the model overfits
_SAMPLES_PER_COEFFICIENT = 4
#: power of the dither that models are estimated with, as a share of the sound's. Of sound without
#: high frequencies, as lossy codecs leave it, the equations are ill-conditioned without it.
DITHER = 1e-9
#: samples that one BLAS call takes: OpenBLAS spreads larger ones over threads, which wait for each
#: other far longer than they work
_BLOCK = 9000
#: at every such order the errors' power is summed anew, at the others it follows from the last
_EXACT_EVERY = 32
#: the smallest scale of backward errors before they are rescaled
_LEAST_SCALE = 1e-60
#: samples after a gap that its equations reach where a side has fewer than the model's order
_CUT_OFF_ROWS = 1000


def model_order(length: int, side: int, highest: int = MAX_ORDER) -> int:
    """Coefficients for a gap of ``length`` samples with ``side`` samples on its longer side."""
    return max(min(_ORDER_RATIO * length + 2, highest, side // _SAMPLES_PER_COEFFICIENT), 1)


def interpolate(audio: Tensor, start: int, stop: int, order: int) -> Tensor:
    """The samples of a gap, interpolated from those around it.

    Args:
        audio: [C, T], the gap and the sound from which the models are estimated: some tenths of a
            second a side, over which music is stationary. Samples in the gap are ignored. Every
            channel has its own model.
        start, stop: samples [start, stop) of the gap.
        order: coefficients of the models; fewer where the longer side is shorter than that.

    Returns:
        float32 [C, stop - start].

    Raises:
        ValueError: the gap is not inside the audio, or the order is less than one.
    """
    if not 0 <= start < stop <= audio.shape[1]:
        raise ValueError(f"no gap [{start}, {stop}) in {audio.shape[1]} samples")
    if order < 1:
        raise ValueError(f"the order is {order}; it must be one at least")
    order = min(order, max(start, audio.shape[1] - stop) - 1)
    if order < 1:
        return torch.zeros(len(audio), stop - start)
    filled = []
    for channel in audio.double():
        coefficients = burg(dithered([channel[:start], channel[stop:]]), order)
        filled.append(solve_gap(channel, start, stop, coefficients))
    return torch.stack(filled).float()


def dithered(parts: Sequence[Tensor]) -> list[Tensor]:
    """Passages [T] with white noise of DITHER times their mean power, always the same noise."""
    total = sum(len(part) for part in parts)
    power = sum(float(part.square().sum()) for part in parts) / max(total, 1)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(total))
    noise = (DITHER * power) ** 0.5 * noise
    made = zip(parts, noise.split([len(part) for part in parts]), strict=True)
    return [part + own for part, own in made]


def burg(parts: Sequence[Tensor], order: int) -> Tensor:
    """Coefficients of one all-pole model of several passages, by Burg's method.

    They minimize the squared forward and backward prediction errors, summed over all passages. The
    model is stable. Passages leave the sums at the order that they are too short for.

    The errors are updated in place, in two lifting steps: f += k b, then b += k / (1 - k²) f, where
    true backward errors are the product of all 1 - k² times those. Recursions over autocorrelations
    (Vos 2013) take no less time in NumPy, and lose five digits.

    Args:
        parts: double [T] each.
        order: how many coefficients.

    Returns:
        double [order + 1]: e(t) = Σ a(j) x(t - j), a(0) = 1.
    """
    ahead = [part.numpy().copy() for part in parts]
    back = [part.copy() for part in ahead]
    coefficients = np.zeros(order + 1)
    coefficients[0] = 1
    scale = 1.0  # true backward errors are this times those in ``back``
    power, remaining = 0.0, 1.0
    for done in range(1, order + 1):
        spans = [
            (f, b, min(_BLOCK, len(f) - done - at), done + at, at)
            for f, b in zip(ahead, back, strict=True)
            for at in range(0, len(f) - done, _BLOCK)
        ]
        product = sum(scale * ddot(f, b, n, i, 1, j) for f, b, n, i, j in spans)
        if done % _EXACT_EVERY == 1:
            power = sum(
                ddot(f, f, n, i, 1, i) + scale**2 * ddot(b, b, n, j, 1, j)
                for f, b, n, i, j in spans
            )
        else:
            power *= remaining
            for f, b in zip(ahead, back, strict=True):
                if len(f) >= done:
                    power -= f[done - 1] ** 2 + (scale * b[len(f) - done]) ** 2
        if power <= 0:  # silence
            break
        reflection = -2 * product / power
        remaining = 1 - reflection**2
        coefficients[1 : done + 1] += reflection * coefficients[:done][::-1]
        if remaining <= 0:  # nothing is left to be predicted
            break
        for f, b, n, i, j in spans:
            daxpy(b, f, n, reflection * scale, j, 1, i)
            daxpy(f, b, n, reflection / (remaining * scale), i, 1, j)
        scale *= remaining
        if scale < _LEAST_SCALE:
            for b in back:
                b *= scale
            scale = 1.0
    return torch.from_numpy(coefficients)


def solve_gap(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """The samples of a gap that minimize the sum of squared prediction errors.

    Errors that reach beyond the audio are left out: they are not known. Where the left side has
    less than ``order`` samples, the errors are those of prediction from the right.

    Args:
        audio: double [T]; samples in the gap are ignored. At least ``order`` of them are on one
            side.
        start, stop: samples [start, stop) of the gap.
        coefficients: double [order + 1], of any predictor.

    Returns:
        double [stop - start].
    """
    order, length, after = len(coefficients) - 1, stop - start, len(audio) - stop
    if min(start, after) < order:
        if start < after:
            turned = _solve_cut_off(audio.flip(0), after, after + length, coefficients)
            return turned.flip(0)
        return _solve_cut_off(audio, start, stop, coefficients)
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


def _solve_cut_off(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """What ``solve_gap`` returns, where fewer than ``order`` samples are on the right.

    The equations are not Toeplitz there. The predictor runs from the left without input, through
    the gap and what is beyond. Its error on those true samples is explained by the likeliest inputs
    in the gap.

    Args:
        audio: double [T], at least ``order`` samples before the gap.
        start, stop: samples [start, stop) of the gap.
        coefficients: double [order + 1].

    Returns:
        double [stop - start].
    """
    order, length = len(coefficients) - 1, stop - start
    right = audio[stop : stop + min(order, _CUT_OFF_ROWS)]
    known = F.pad(audio[start - order : start], (0, length + len(right)))
    inputs = -_correlate(known, coefficients.flip(0))
    free_run = _all_pole_filter(inputs, coefficients)
    if not len(right):
        return free_run
    error = right - free_run[length:]
    response = _all_pole_filter(
        F.pad(audio.new_ones(1), (0, length + len(right) - 1)), coefficients
    )
    likely = torch.linalg.solve(_covariance(response, length, len(right)), error)
    inputs = _correlate(response[1:], likely).flip(0)
    return free_run[:length] + _all_pole_filter(inputs, coefficients)


def _covariance(response: Tensor, length: int, number: int) -> Tensor:
    """Covariance of an all-pole model's samples after a gap, for white noise as input in the gap.

    Args:
        response: double [length + number], the model's impulse response.
        length: samples of the gap.
        number: samples after it.

    Returns:
        double [number, number], with the dither's share added on the diagonal.
    """
    made = response.new_empty(number, number)
    row = _correlate(response, response[: length + 1])
    for index in range(number):
        made[index, index:] = made[index:, index] = row
        later = response[length + 1 + index :]
        row = row[:-1] + later[:1] * later[: len(row) - 1]
    made.diagonal().mul_(1 + DITHER)
    return made


def _all_pole_filter(inputs: Tensor, coefficients: Tensor) -> Tensor:
    """Filter inputs [T] by an all-pole model, from rest: [T]."""
    # here, not above: scipy.signal takes half a second to import
    from scipy.signal import lfilter

    return torch.from_numpy(lfilter([1.0], coefficients.numpy(), inputs.numpy()))


def _correlate(audio: Tensor, weights: Tensor) -> Tensor:
    """Valid cross-correlation of audio [T] with weights [W]: [T - W + 1]."""
    # circular wrap-around falls outside the valid part
    size = next_fast_len(len(audio), real=True)
    spectrum = torch.fft.rfft(audio, size) * torch.fft.rfft(weights, size).conj()
    made: Tensor = torch.fft.irfft(spectrum, size)
    return made[: len(audio) - len(weights) + 1]


def extrapolate(audio: Tensor, length: int, order: int) -> Tensor:
    """Continue audio by linear prediction.

    Args:
        audio: [C, T]. Every channel has its own model.
        length: how many samples.
        order: coefficients of the models, at most T - 1.

    Returns:
        float32 [C, length]; it decays where the audio is not predictable.
    """
    order = min(order, audio.shape[1] - 1)
    if order < 1:
        return torch.zeros(len(audio), length)
    made = []
    for channel in audio.double():
        coefficients = burg(dithered([channel]), order)
        inputs = -_correlate(F.pad(channel[-order:], (0, length)), coefficients.flip(0))
        made.append(_all_pole_filter(inputs, coefficients)[:length])
    return torch.stack(made).float()
