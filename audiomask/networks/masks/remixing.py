"""Self-remixing: learning from mixtures whose stems nobody knows.

A teacher separates several mixtures; its stems are shuffled among them and summed to new mixtures.
The student separates these, and its stems, brought back to where they came from, must sum to the
mixtures that there were (Saijo and Ogawa 2023, "Self-Remixing: Unsupervised speech separation via
separation and remixing", arXiv 2211.10194, section 3).

Everything here is a sum of mixtures with one real weight in each band, so that the sums over bins
of products of two mixtures are enough: ``gram`` [U, C, U, C, bands, F], Σ Re(X Y*) of channels of
U mixtures.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.networks.masks.losses import amplitude_term, ratio_term

#: probabilities of activity, meant over a window, below and above which a teacher is sure
_SURE = (0.1, 0.9)


class Remix(NamedTuple):
    """New mixtures of a teacher's stems.

    Attributes:
        sources: int64 [S + 1, U], the mixture that each stem of each new mixture is from.
        weights: of the mixtures in the new ones, [U, U, C, bands, F].
        power: of the new mixtures, [U, C, bands, F].
        cross: Σ Re(L R*) of their channels, [U, bands, F].
    """

    sources: Tensor
    weights: Tensor
    power: Tensor
    cross: Tensor


def own_sums(gram: Tensor) -> tuple[Tensor, Tensor]:
    """The power of mixtures [U, C, bands, F], and Σ Re(L R*) of their channels [U, bands, F]."""
    rows, channels = torch.arange(len(gram), device=gram.device), gram.shape[1]
    power = torch.stack([gram[rows, c, rows, c] for c in range(channels)], dim=1)
    return power, gram[rows, 0, rows, channels - 1]


def shuffle(activity: Tensor, offsets: Tensor) -> Tensor:
    """Which mixture each stem of each new mixture is from, int64 [S + 1, U].

    A stem of which the teacher is unsure in one of the mixtures stays where it is, in all of them.

    Args:
        activity: logits of the teacher's probabilities that stems are active, [U, S, F].
        offsets: by how many mixtures each stem and the residual would move on, int64 [S + 1].
    """
    number = len(activity)
    likely = activity.float().sigmoid().mean(dim=2)
    sure = ((likely < _SURE[0]) | (likely > _SURE[1])).all(dim=0)
    moves = torch.cat([sure, sure.new_ones(1)]) * offsets
    return (torch.arange(number, device=moves.device) + moves[:, None]) % number


def remix(shares: Tensor, gram: Tensor, sources: Tensor) -> Remix:
    """Mixtures of a teacher's stems.

    Args:
        shares: the teacher's soft masks, [U, S + 1, C, bands, F].
        gram: of the mixtures.
        sources: as of ``shuffle``.
    """
    number, _, channels = shares.shape[:3]
    rows = torch.arange(number, device=shares.device)
    weights = shares.new_zeros(number, number, *shares.shape[2:])
    for stem, origin in enumerate(sources):
        weights[rows, origin] += shares[origin, stem]
    powers = [_product(weights[:, :, c], weights[:, :, c], gram, c, c) for c in range(channels)]
    cross = _product(weights[:, :, 0], weights[:, :, -1], gram, 0, channels - 1)
    return Remix(sources, weights, torch.stack(powers, dim=1).clamp_min(0), cross)


def remix_loss(shares: Tensor, made: Remix, gram: Tensor) -> Tensor:
    """How far the student's stems, brought back, are from the mixtures that there were.

    The same terms as for a known stem, of amplitudes and of the distortion ratio, with the whole
    mixture in its place; a tenth of the ratio's decibels counts.

    Args:
        shares: the student's soft masks of the new mixtures, [U, S + 1, C, bands, F].
        made: the new mixtures.
        gram: of the mixtures that there were.
    """
    number, _, channels = shares.shape[:3]
    # how much of every mixture is in each that is put together again
    found = shares.new_zeros(made.weights.shape)
    for stem, origin in enumerate(made.sources):
        place = origin.argsort()
        found = found + shares[place, stem][:, None] * made.weights[place]
    missing = torch.eye(number, device=shares.device)[..., None, None, None] - found
    errors = [_product(missing[:, :, c], missing[:, :, c], gram, c, c) for c in range(channels)]
    error = torch.stack(errors, dim=1)[:, None].clamp_min(0)
    power, _ = own_sums(gram)
    amplitude = amplitude_term(error, power)
    return (amplitude + 0.1 * ratio_term(error, power[:, None], power)).mean()


def _product(one: Tensor, other: Tensor, gram: Tensor, left: int, right: int) -> Tensor:
    """Σ Re(A B*) of sums of mixtures with weights [N, U, bands, F] each, [N, bands, F]."""
    number = one.shape[1]
    total = torch.zeros_like(one[:, 0])
    for k in range(number):
        for m in range(number):
            total = total + one[:, k] * other[:, m] * gram[k, left, m, right]
    return total
