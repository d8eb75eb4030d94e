"""Code lengths of 8-bit samples without a trained model, in bits a sample.

Each is a true code length: the probabilities of a sample's level are computed from the samples
before it alone, and those of all levels sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.wave.logistic import expected_bits, log_probability
from audiomask.networks.wave.mulaw import LEVELS, QUIETEST, decode
from audiomask.networks.wave.predictors import Predictor

#: samples over which the size of residuals is measured, and multiples of it that are scales
_SPANS, _MULTIPLES = (16, 64, 256), (0.3, 0.55, 1.0)
#: samples that weights are judged by
_JUDGED = 128
#: the predictor of ``linear``, and the samples after which it is estimated anew
_LINEAR, _BLOCK = Predictor(32, 2048), 128
#: observations that the next shorter context counts as
_BACKED = 4.0
#: orders of the cascade's filters and their rates of adaptation, the longest first
_CASCADE = ((2048, 5e-6), (256, 1e-4), (16, 2e-3))
#: the cascade's fixed first filter, as Monkey's Audio has it
_FIRST = 31 / 32


def unigram(levels: Tensor, targets: int) -> Tensor:
    """Bits [W, targets] of the last samples of windows, by the counts of the others.

    Args:
        levels: int64 [W, T].
        targets: number of samples at the end of a window that are coded.
    """
    counts = torch.stack([row.bincount(minlength=LEVELS) for row in levels[:, :-targets]])
    shares = (counts + 0.5) / (counts.sum(dim=1, keepdim=True) + LEVELS / 2)
    return -shares.gather(1, levels[:, -targets:]).log2().float()


def second_order(levels: Tensor, targets: int) -> Tensor:
    """Bits [W, targets] by counts of levels after the two levels before, in the others of a window.

    Contexts that were seen seldom rely on shorter ones. Arguments are those of ``unigram``.
    """
    shares = 2 ** -unigram(levels, targets)
    length = levels.shape[1]
    for order in (1, 2):
        # a context and the level after it, as one number
        codes = sum(
            levels[:, lag : length - order + lag] * LEVELS ** (order - lag)
            for lag in range(order + 1)
        )
        assert isinstance(codes, Tensor)
        found = []
        for row, share in zip(codes, shares, strict=True):
            past, wanted = row[:-targets], row[-targets:]
            context = _count(past // LEVELS, wanted // LEVELS)
            found.append((_count(past, wanted) + _BACKED * share) / (context + _BACKED))
        shares = torch.stack(found)
    return -shares.log2().float()


def _count(values: Tensor, wanted: Tensor) -> Tensor:
    """How often each of the wanted values is among the values."""
    known, counts = torch.unique(values, return_counts=True)
    place = torch.searchsorted(known, wanted).clamp_max(len(known) - 1)
    return torch.where(known[place] == wanted, counts[place], 0)


def linear(levels: Tensor, targets: int) -> Tensor:
    """Bits [W, targets] by linear prediction of order 32 that adapts backwards.

    Arguments are those of ``unigram``.
    """
    return linear_costs(levels, targets)[0]


def linear_costs(levels: Tensor, targets: int) -> tuple[Tensor, Tensor]:
    """Bits as of ``linear``, and about how many bits were to be expected, [W, targets] each."""
    samples = decode(levels)
    first = max(levels.shape[1] - targets - 4 * _JUDGED, 0)
    starts = torch.arange(first, levels.shape[1], _BLOCK).expand(len(levels), -1)
    predicted = _LINEAR.predict(samples, starts, _BLOCK).flatten(1)
    length = levels.shape[1] - first
    bits, expected = code_costs(levels[:, first:], predicted[:, :length])
    return bits[:, -targets:], expected[:, -targets:]


def cascade(levels: Tensor, targets: int) -> Tensor:
    """Bits [W, targets] by a cascade of sign-LMS filters, as in Monkey's Audio.

    Arguments are those of ``unigram``. The whole of a window is run through sample by sample.
    """
    predicted = run_cascade(decode(levels).double().numpy(), _CASCADE)
    return code_costs(levels, torch.from_numpy(predicted).float())[0][:, -targets:]


def run_cascade(
    samples: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    filters: Sequence[tuple[int, float]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Predictions [W, T] of samples [W, T], each made of the samples before it.

    Every filter predicts what those before it left over. Its weights move by the sign of its error
    and of its inputs alone.
    """
    rows, length = samples.shape
    longest = max(order for order, _ in filters)
    inputs = [np.zeros((rows, longest + length)) for _ in filters]
    signs = [np.zeros((rows, longest + length)) for _ in filters]
    weights = [np.zeros((rows, order)) for order, _ in filters]
    predicted = np.zeros_like(samples)
    for t in range(length):
        first = _FIRST * samples[:, t - 1] if t else np.zeros(rows)
        told, left = first.copy(), samples[:, t] - first
        now = longest + t
        for number, (order, rate) in enumerate(filters):
            past = inputs[number][:, now - order : now]
            guess = np.einsum("wo,wo->w", weights[number], past)
            inputs[number][:, now], signs[number][:, now] = left, np.sign(left)
            told += guess
            left = left - guess
            weights[number] += (rate * np.sign(left))[:, None] * signs[number][:, now - order : now]
        predicted[:, t] = told
    return predicted


def code_costs(levels: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Bits [W, T] of levels, of which a prediction is known, and about the expected ones.

    The distribution is a mixture of logistic ones around the prediction, of several scales that
    the newest residuals tell, weighted by how well each did on the newest samples.

    Args:
        levels: int64 [W, T].
        predicted: as samples, [W, T].
    """
    error = (decode(levels) - predicted).abs().double()
    scales = [_mean_before(error, span).clamp_min(QUIETEST).log() for span in _SPANS]
    widths = torch.tensor([math.log(multiple) for multiple in _MULTIPLES])
    log_scales = (torch.stack(scales, dim=-1).float()[..., None] + widths).flatten(-2)
    alone = [
        log_probability(levels, torch.zeros_like(one), predicted[..., None], one)
        for one in torch.split(log_scales, 1, dim=-1)
    ]
    each = torch.stack(alone, dim=-1)
    before = _mean_before(each.mT.double(), _JUDGED).mT.float() * _JUDGED
    weights = F.log_softmax(before / 2, dim=-1)
    bits = -torch.logsumexp(weights + each, dim=-1) / math.log(2)
    means = predicted[..., None].expand_as(log_scales)
    return bits, expected_bits(weights, means, log_scales)


def _mean_before(values: Tensor, span: int) -> Tensor:
    """The mean of the last ``span`` values before each, [..., T]; of fewer at the beginning."""
    sums = F.pad(values.cumsum(dim=-1), (1, 0))[..., :-1]
    place = torch.arange(values.shape[-1])
    earlier = sums[..., (place - span).clamp_min(0)]
    return (sums - earlier) / place.clamp(1, span)
