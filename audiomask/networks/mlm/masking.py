"""Masking: which tokens the model has to predict in training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from audiomask.networks.mlm.vocabulary import Vocabulary
from audiomask.runtime import distributed

#: probabilities of ``bert_mask``, ``gap_mask``, ``random_mask`` and ``center_mask``
MASKING_PROBS = (0.2, 0.5, 0.15, 0.15)
#: BERT: share of positions selected; of those, shares that become MASK and a random code
SELECTED, _TO_MASK, _TO_RANDOM = 0.15, 0.8, 0.1


def bert_mask(
    ids: Tensor, vocabulary: Vocabulary, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """BERT's masking (Devlin et al. 2019, section 3.1).

    15 % of the positions are selected; of those 80 % become MASK, 10 % a random code, 10 % stay.
    Special tokens are never selected.

    Args:
        ids: [B, levels, F].

    Returns:
        the model's input and which positions the loss is on (bool), both [B, levels, F].
    """
    draw = distributed.rand(*ids.shape, generator=generator, device=ids.device)
    chosen = (draw < SELECTED) & (ids < vocabulary.codebook_size)
    fate = distributed.rand(*ids.shape, generator=generator, device=ids.device)
    other = distributed.rand(*ids.shape, generator=generator, device=ids.device)
    random = (other * vocabulary.codebook_size).long()
    inputs = torch.where(chosen & (fate < _TO_MASK), vocabulary.mask, ids)
    swapped = chosen & (fate >= _TO_MASK) & (fate < _TO_MASK + _TO_RANDOM)
    return torch.where(swapped, random, inputs), chosen


def gap_mask(
    ids: Tensor, vocabulary: Vocabulary, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """One gap a row, at a random stage of ``iterative_decode``.

    The gap is 2 % to 50 % of the frames. Levels below a random one are known, that one is masked at
    a rate of cos(π r / 2) (Chang et al. 2022, section 3.1), finer ones are all MASK. The loss is on
    all masked positions.

    Args:
        ids: [B, levels, F].

    Returns:
        the model's input and which positions the loss is on (bool), both [B, levels, F].
    """
    batch, levels, frames = ids.shape

    def uniform() -> Tensor:
        return distributed.rand(batch, generator=generator, device=ids.device)

    length = (frames * (0.02 * 25 ** uniform())).long().clamp_min(1)
    start = ((frames - length + 1) * uniform()).long()
    inside = _span_mask(start, length, frames)
    level = (levels * uniform()).long()
    rate = torch.cos(math.pi / 2 * uniform())
    share = distributed.rand(batch, frames, generator=generator, device=ids.device)
    drawn = share < rate[:, None]
    order = torch.arange(levels, device=ids.device)[None, :, None]
    current = order == level[:, None, None]
    finer = order > level[:, None, None]
    hidden = inside[:, None] & (finer | (current & drawn[:, None]))
    chosen = hidden & (ids < vocabulary.codebook_size)
    return torch.where(chosen, vocabulary.mask, ids), chosen


def _span_mask(start: Tensor, length: Tensor, frames: int) -> Tensor:
    """Bool [B, frames], true in each row's span of ``length`` [B] frames from ``start`` [B]."""
    place = torch.arange(frames, device=start.device)
    return (place >= start[:, None]) & (place < (start + length)[:, None])


def random_mask(
    ids: Tensor, vocabulary: Vocabulary, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Each row masked at its own random rate of cos(π r / 2); the loss is on masked positions.

    Args:
        ids: [B, levels, F].

    Returns:
        the model's input and the masked positions (bool), both [B, levels, F].
    """
    share = distributed.rand(len(ids), 1, 1, generator=generator, device=ids.device)
    rate = torch.cos(math.pi / 2 * share)
    draw = distributed.rand(*ids.shape, generator=generator, device=ids.device)
    chosen = (draw < rate) & (ids < vocabulary.codebook_size)
    return torch.where(chosen, vocabulary.mask, ids), chosen


def center_mask(
    ids: Tensor, vocabulary: Vocabulary, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The central 2 % to 50 % of each row's frames masked on all levels; the loss is on all of it.

    Args:
        ids: [B, levels, F].

    Returns:
        the model's input and the masked positions (bool), both [B, levels, F].
    """
    frames = ids.shape[-1]
    draw = distributed.rand(len(ids), generator=generator, device=ids.device)
    length = (frames * (0.02 * 25**draw)).long().clamp_min(1)
    start = (frames - length) // 2
    inside = _span_mask(start, length, frames)
    chosen = inside[:, None] & (ids < vocabulary.codebook_size)
    return torch.where(chosen, vocabulary.mask, ids), chosen


def mixed_mask(
    ids: Tensor, vocabulary: Vocabulary, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Each row masked in one of four ways, by the probabilities of ``MASKING_PROBS``.

    BERT's single tokens are mostly predictable from their neighbours. Gaps need a wider context,
    random rates are those of iterative decoding, and the central block is the paper's infill.

    Args:
        ids: [B, levels, F].

    Returns:
        the model's input and which positions the loss is on (bool), both [B, levels, F].
    """
    ways = (bert_mask, gap_mask, random_mask, center_mask)
    made = [way(ids, vocabulary, generator) for way in ways]
    inputs, chosen = (torch.stack(part) for part in zip(*made, strict=True))
    draw = distributed.rand(len(ids), generator=generator, device=ids.device)
    edges = torch.tensor(MASKING_PROBS, device=ids.device).cumsum(dim=0)[:-1]
    way = torch.bucketize(draw, edges, right=True)
    rows = torch.arange(len(ids), device=ids.device)
    return inputs[way, rows], chosen[way, rows]
