"""Autoregressive interpolation: a short gap filled by linear prediction.

The samples of a gap and the coefficients of an all-pole model are estimated in turn, each given
the other (Janssen, Veldhuis and Vries 1986): the coefficients by Burg's method, the samples by
least squared prediction errors. All of it in double precision.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from audiomask.runtime.dependencies import torchaudio_functional

#: coefficients for each missing sample (Janssen's rule), and the most for any gap
_ORDER_RATIO, MAX_ORDER = 3, 1000
#: samples of the longer side for each coefficient: with fewer the model overfits
_SAMPLES_PER_COEFFICIENT = 4
#: power of the noise assumed in every recording, as a share of the signal's: that of 16 bits
_NOISE = 1e-10


def model_order(length: int, side: int, highest: int = MAX_ORDER) -> int:
    """Coefficients for a gap of ``length`` samples with ``side`` samples on its longer side."""
    return max(min(_ORDER_RATIO * length + 2, highest, side // _SAMPLES_PER_COEFFICIENT), 1)


def interpolate(audio: Tensor, start: int, stop: int, order: int, iterations: int = 2) -> Tensor:
    """The samples of a gap, interpolated from those around it.

    Args:
        audio: [C, T], the gap and the sound from which the models are estimated: some hundredths
            of a second a side, over which music is stationary. Samples in the gap are ignored.
            Every channel has its own model.
        start, stop: samples [start, stop) of the gap.
        order: coefficients of the models; fewer where the longer side is shorter than that.
        iterations: how often models and samples are estimated; the first models come from the
            sides alone.

    Returns:
        float32 [C, stop - start].

    Raises:
        ValueError: the gap is not inside the audio, or order or iterations are less than one.
    """
    if not 0 <= start < stop <= audio.shape[1]:
        raise ValueError(f"no gap [{start}, {stop}) in {audio.shape[1]} samples")
    if order < 1 or iterations < 1:
        raise ValueError(f"order {order} and {iterations} iterations must be one at least")
    order = min(order, max(start, audio.shape[1] - stop) - 1)
    if order < 1:
        return torch.zeros(len(audio), stop - start)
    if start < audio.shape[1] - stop:
        # the longer side, from which the predictor runs, is the left one
        turned = audio.shape[1] - stop, audio.shape[1] - start
        return interpolate(audio.flip(1), *turned, order, iterations).flip(1)
    filled = []
    for channel in audio.double().clone():
        parts = [part for part in (channel[:start], channel[stop:]) if len(part) > order]
        for _ in range(iterations):
            coefficients = burg(parts, order)
            channel[start:stop] = least_squares(channel, start, stop, coefficients)
            parts = [channel]
        filled.append(channel[start:stop])
    return torch.stack(filled).float()


def burg(parts: list[Tensor], order: int) -> Tensor:
    """Coefficients of one all-pole model of several passages, by Burg's method.

    They minimize the squared forward and backward prediction errors, summed over all passages. The
    model is stable.

    Args:
        parts: double [T] each, T more than ``order``.
        order: how many coefficients.

    Returns:
        double [order + 1]: e(t) = Σ a(j) x(t - j), a(0) = 1.
    """
    # NumPy: torch would spread these small operations over threads, which wait for each other
    ahead = [part.numpy() for part in parts]
    back = list(ahead)
    noise = 2 * _NOISE * sum(_energy(part) for part in ahead)
    coefficients = np.zeros(order + 1)
    coefficients[0] = 1
    for done in range(1, order + 1):
        ahead, back = [f[1:] for f in ahead], [b[:-1] for b in back]
        product = sum(float(np.einsum("t,t", f, b)) for f, b in zip(ahead, back, strict=True))
        power = sum(_energy(f) + _energy(b) for f, b in zip(ahead, back, strict=True)) + noise
        if power == 0:  # silence
            break
        reflection = -2 * product / power
        coefficients[1 : done + 1] += reflection * coefficients[:done][::-1]
        pairs = list(zip(ahead, back, strict=True))
        ahead = [f + reflection * b for f, b in pairs]
        back = [b + reflection * f for f, b in pairs]
    return torch.from_numpy(coefficients)


def _energy(audio: npt.NDArray[np.float64]) -> float:
    """The sum of the squares of audio [T]."""
    return float(np.einsum("t,t", audio, audio))


def least_squares(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """The samples of a gap that minimize the sum of squared prediction errors.

    Solves Janssen's equations, one for each missing sample, in another form: the predictor runs
    from the left without input, through the gap and ``order`` samples beyond. Its error on those
    true samples is explained by the likeliest inputs in the gap.

    Args:
        audio: double [T]; samples in the gap are ignored.
        start, stop: samples [start, stop) of the gap.
        coefficients: double [order + 1], as ``burg`` gives them.

    Returns:
        double [stop - start].
    """
    order, length = len(coefficients) - 1, stop - start
    left, right = audio[max(start - order, 0) : start], audio[stop : stop + order]
    known = F.pad(left, (order - len(left), length + len(right)))
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
        double [number, number], with the recording's noise added on the diagonal.
    """
    made = response.new_empty(number, number)
    row = _correlate(response, response[: length + 1])
    for index in range(number):
        made[index, index:] = made[index:, index] = row
        later = response[length + 1 + index :]
        row = row[:-1] + later[:1] * later[: len(row) - 1]
    made.diagonal().mul_(1 + _NOISE)
    return made


def _all_pole_filter(inputs: Tensor, coefficients: Tensor) -> Tensor:
    """Filter inputs [T] by an all-pole model, from rest: [T]."""
    unit = F.pad(coefficients.new_ones(1), (0, len(coefficients) - 1))
    filtered = torchaudio_functional().lfilter(inputs[None], coefficients, unit, clamp=False)
    made: Tensor = filtered[0]
    return made


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
        coefficients = burg([channel], order)
        inputs = -_correlate(F.pad(channel[-order:], (0, length)), coefficients.flip(0))
        made.append(_all_pole_filter(inputs, coefficients)[:length])
    return torch.stack(made).float()


def prediction_gain(audio: Tensor, order: int) -> float:
    """Power of audio [C, T] over that of a linear predictor's error, in dB.

    Args:
        audio: each channel has its own predictor.
        order: coefficients of the models, fewer than T.
    """
    power = error_power = 0.0
    for channel in audio.double():
        errors = _correlate(channel, burg([channel], order).flip(0))
        power += float(channel.square().mean())
        error_power += float(errors.square().mean())
    return 10 * math.log10((power + 1e-20) / (error_power + 1e-20))
