"""Mixtures of logistic distributions over mu-law levels.

A component is a logistic distribution over sample values; the probability of a level is what falls
into its cell. So the probabilities of all levels sum to 1, and one component says much with two
numbers, whatever the level of the sound is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.wave.mulaw import LEVELS, cells, step_at

#: share of the probability that is spread evenly, so that no level costs more than 20 bits
_EVEN = 2.0**-12
#: places of a distribution that are equally likely, at which steps are looked at
_PLACES = 5
#: largest argument of exponentials
_MOST = 60.0


def log_probability(levels: Tensor, logits: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """The natural logarithm of the probabilities of levels, [...].

    Args:
        levels: int64 [...].
        logits: of the components, [..., K].
        means: of the components, as samples, [..., K].
        log_scales: natural logarithms of the components' scales, [..., K].
    """
    lower, upper = cells(levels)
    inverse = torch.exp(-log_scales)
    a = ((lower[..., None] - means) * inverse).clamp(-_MOST, _MOST)
    b = ((upper[..., None] - means) * inverse).clamp(-_MOST, _MOST)
    # sigmoid(b) - sigmoid(a) without a difference of nearly equal numbers
    width = ((upper - lower)[..., None] * inverse).clamp(1e-6, _MOST)
    inside = F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(-torch.expm1(-width))
    mixed = torch.logsumexp(F.log_softmax(logits, dim=-1) + inside, dim=-1)
    even = torch.full_like(mixed, math.log(_EVEN / LEVELS))
    return torch.logaddexp(mixed + math.log1p(-_EVEN), even)


def expected_bits(logits: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """About how many bits a level costs on average, [...]: the distribution's entropy.

    It is taken as that of one logistic distribution, in steps between levels as they are on average
    where it is. That is nothing where the distribution is far narrower than a step.

    Arguments are those of ``log_probability``.
    """
    weights = logits.softmax(dim=-1)
    mean = (weights * means).sum(dim=-1)
    apart = (weights * (means - mean[..., None]).square()).sum(dim=-1)
    # the variance of a logistic distribution of scale 1 is pi squared by 3
    scale = ((2 * (weights * log_scales).sum(dim=-1)).exp() + apart * 3 / math.pi**2).sqrt()
    shares = (torch.arange(_PLACES, device=mean.device) + 0.5) / _PLACES
    places = mean[..., None] + scale[..., None] * shares.logit()
    entropy = 2 + scale.log() - step_at(places).log().mean(dim=-1)
    return F.softplus(2 * entropy) / (2 * math.log(2))


def probabilities(logits: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """The probabilities of all levels, [..., 256]; arguments are those of ``log_probability``."""
    levels = torch.arange(LEVELS, device=means.device)
    levels = levels.expand(*means.shape[:-1], LEVELS)
    parts = (logits[..., None, :], means[..., None, :], log_scales[..., None, :])
    return log_probability(levels, *parts).exp()
