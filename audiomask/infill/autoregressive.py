"""Autoregressive interpolation: a short gap filled by linear prediction.

The samples of a gap and the coefficients of an all-pole model are estimated in turn, each given
the other (Janssen, Veldhuis and Vries 1986): the coefficients by Burg's method, the samples so
that the squared prediction errors are as small as they can be. All of it in double precision.
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

#: coefficients a missing sample gets in Janssen's rule, and the most that any gap gets
ORDER_RATIO, HIGHEST_ORDER = 3, 1000
#: samples on a side that a coefficient takes: a model of more is made to measure and says nothing
SAMPLES_EACH = 4
#: power of the noise assumed in every recording, as a share of the signal's: about 16 bits'
NOISE = 1e-10


def model_order(length: int, side: int, highest: int = HIGHEST_ORDER) -> int:
    """How many coefficients suit a gap of so many samples with so many on its longer side."""
    return max(min(ORDER_RATIO * length + 2, highest, side // SAMPLES_EACH), 1)


def interpolate(audio: Tensor, start: int, stop: int, order: int, iterations: int = 2) -> Tensor:
    """The samples of a gap, interpolated from those around it.

    Args:
        audio: [C, T], the gap and the sound from which the models are estimated: some hundredths
            of a second a side, for music does not stay the same for longer. What is in the gap
            does not matter. Every channel has a model of its own.
        start: first sample of the gap.
        stop: the sample after its last.
        order: coefficients of the models; fewer where the longer side has no more samples.
        iterations: how often models and samples are estimated. The first models know the sides
            alone.

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
        # the predictor comes from the side that has the more to go by; the other may have nothing
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
    """Coefficients of one all-pole model of several stretches of sound, by Burg's method.

    They make the least squared errors of predicting forwards and backwards, added up over all
    stretches. The model is stable.

    Args:
        parts: double [T] each, T more than ``order``.
        order: how many coefficients.

    Returns:
        double [order + 1]: e(t) = Σ a(j) x(t - j), a(0) = 1.
    """
    # NumPy, for its small operations stay on one core: shared out, each would wait for the others
    ahead = [part.numpy() for part in parts]
    back = list(ahead)
    noise = 2 * NOISE * sum(energy(part) for part in ahead)
    coefficients = np.zeros(order + 1)
    coefficients[0] = 1
    for done in range(1, order + 1):
        ahead, back = [f[1:] for f in ahead], [b[:-1] for b in back]
        product = sum(float(np.einsum("t,t", f, b)) for f, b in zip(ahead, back, strict=True))
        power = sum(energy(f) + energy(b) for f, b in zip(ahead, back, strict=True)) + noise
        if power == 0:  # silence
            break
        reflection = -2 * product / power
        coefficients[1 : done + 1] += reflection * coefficients[:done][::-1]
        pairs = list(zip(ahead, back, strict=True))
        ahead = [f + reflection * b for f, b in pairs]
        back = [b + reflection * f for f, b in pairs]
    return torch.from_numpy(coefficients)


def energy(audio: npt.NDArray[np.float64]) -> float:
    """The sum of the squares of audio [T]."""
    return float(np.einsum("t,t", audio, audio))


def least_squares(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """The samples of a gap that make the sum of the squared prediction errors least.

    Janssen's system of equations, one for each missing sample, has the same solution as this:
    the predictor runs on alone from the left, through the gap and ``order`` samples beyond.
    There the true samples show what it missed, which is put down to its inputs in the gap:
    the likeliest inputs that would have led to what is there.

    Args:
        audio: double [T]; what is in the gap does not matter.
        start: first sample of the gap.
        stop: the sample after its last.
        coefficients: double [order + 1], as ``burg`` gives them.

    Returns:
        double [stop - start].
    """
    order, length = len(coefficients) - 1, stop - start
    left, right = audio[max(start - order, 0) : start], audio[stop : stop + order]
    known = F.pad(left, (order - len(left), length + len(right)))
    inputs = -correlate(known, coefficients.flip(0))
    alone = all_pole_filter(inputs, coefficients)
    if not len(right):
        return alone
    missed = right - alone[length:]
    # what one unit of input sounds like from then on
    response = all_pole_filter(F.pad(audio.new_ones(1), (0, length + len(right) - 1)), coefficients)
    likely = torch.linalg.solve(covariance(response, length, len(right)), missed)
    inputs = correlate(response[1:], likely).flip(0)
    return alone[:length] + all_pole_filter(inputs, coefficients)


def covariance(response: Tensor, length: int, number: int) -> Tensor:
    """How an all-pole model's samples after a gap vary together, its inputs being white noise.

    Args:
        response: double [length + number], the model's impulse response.
        length: samples of the gap, at whose beginning the inputs begin.
        number: how many samples after it.

    Returns:
        double [number, number], with the recording's own noise on its diagonal.
    """
    made = response.new_empty(number, number)
    row = correlate(response, response[: length + 1])
    for index in range(number):
        made[index, index:] = made[index:, index] = row
        later = response[length + 1 + index :]
        row = row[:-1] + later[:1] * later[: len(row) - 1]
    made.diagonal().mul_(1 + NOISE)
    return made


def all_pole_filter(inputs: Tensor, coefficients: Tensor) -> Tensor:
    """What an all-pole model makes of inputs [T], from rest."""
    unit = F.pad(coefficients.new_ones(1), (0, len(coefficients) - 1))
    filtered = torchaudio_functional().lfilter(inputs[None], coefficients, unit, clamp=False)
    made: Tensor = filtered[0]
    return made


def correlate(audio: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of audio [T] under weights [W] in every place, [T - W + 1]."""
    # what wraps around lies beyond the places that are kept
    size = next_fast_len(len(audio), real=True)
    spectrum = torch.fft.rfft(audio, size) * torch.fft.rfft(weights, size).conj()
    made: Tensor = torch.fft.irfft(spectrum, size)
    return made[: len(audio) - len(weights) + 1]


def extrapolate(audio: Tensor, length: int, order: int) -> Tensor:
    """What follows on audio, as a linear predictor extrapolates it.

    Args:
        audio: [C, T]. Every channel has a model of its own.
        length: how many samples.
        order: coefficients of the models; fewer where T is no more.

    Returns:
        float32 [C, length]; it dies away where the audio is not predictable.
    """
    order = min(order, audio.shape[1] - 1)
    if order < 1:
        return torch.zeros(len(audio), length)
    made = []
    for channel in audio.double():
        coefficients = burg([channel], order)
        inputs = -correlate(F.pad(channel[-order:], (0, length)), coefficients.flip(0))
        made.append(all_pole_filter(inputs, coefficients)[:length])
    return torch.stack(made).float()


def prediction_gain(audio: Tensor, order: int) -> float:
    """By how many decibels audio [C, T] is louder than what a linear predictor misses of it.

    Args:
        audio: of one or more channels, which are predicted by themselves.
        order: coefficients of the models, fewer than T.
    """
    heard = missed = 0.0
    for channel in audio.double():
        errors = correlate(channel, burg([channel], order).flip(0))
        heard += float(channel.square().mean())
        missed += float(errors.square().mean())
    return 10 * math.log10((heard + 1e-20) / (missed + 1e-20))
