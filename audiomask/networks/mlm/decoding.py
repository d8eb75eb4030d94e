"""Iterative decoding: fill masked tokens, most confident first (MaskGIT, Chang et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.mlm.model import MaskedLM

#: Gumbel noise on the confidences at the first step; it falls to zero by the last
_CHOICE_TEMPERATURE = 4.5


class Decoded(NamedTuple):
    """Decoded tokens.

    Attributes:
        ids: codes [B, levels, F], the likeliest ones on levels that were not sampled.
        vectors: the levels' code vectors summed, [B, F, D]; of levels that were not sampled, the
            expected vectors.
        score: mean log-probability of the codes in the gap [B].
    """

    ids: Tensor
    vectors: Tensor
    score: Tensor


class PerRecordingNoise:
    """Random numbers for a batch of several recordings, each with its own generator.

    Args:
        parts: for each recording a CPU generator, its number of rows, and how many successive rows
            share their numbers (its channels, so that equal channels are filled equally).
    """

    def __init__(self, parts: Sequence[tuple[torch.Generator, int, int]]) -> None:
        self.parts = parts

    def gumbel(self, like: Tensor) -> Tensor:
        """Standard Gumbel noise in the shape of ``like``, drawn on the CPU: the same everywhere."""
        drawn = []
        for generator, rows, channels in self.parts:
            uniform = torch.rand((rows // channels, *like.shape[1:]), generator=generator)
            drawn.append(uniform.clamp_(1e-9, 1 - 1e-7).repeat_interleave(channels, dim=0))
        return -(-torch.cat(drawn).log()).log().to(like.device)


@torch.inference_mode()
def iterative_decode(
    model: MaskedLM,
    ids: Tensor,
    unknown: Tensor,
    steps: int,
    temperature: float,
    noise: PerRecordingNoise,
    sampled_levels: int | None = None,
    known_levels: int = 0,
) -> Decoded:
    """Fill a gap level by level, coarse to fine, each level in passes.

    After pass i of n the share cos(π i / 2 n) of the level's gap stays masked, the least confident
    positions. The first level gets ``steps`` passes, finer ones a quarter; temperature and noise
    fall over a level's passes. Levels that are not sampled get their expected code vectors, given
    the coarser levels: nearer to the truth than any sample, and smoother.

    Args:
        ids: codes [B, levels, F], ignored where ``unknown`` is true. MASK elsewhere stays.
        unknown: bool [B, F], true in the gap.
        steps: passes over the first level.
        temperature: of the sampling in the first pass; 0 takes the likeliest code.
        noise: random numbers for sampling.
        sampled_levels: how many levels are sampled, coarse first; all when None.
        known_levels: how many of these are known in the gap, too (as in SoundStorm, Borsos et al.
            2023, once the coarse levels are there).

    Raises:
        ValueError: ``steps`` is less than one.
    """
    if steps < 1:
        raise ValueError(f"a gap takes one step at least, not {steps}")
    levels = ids.shape[1]
    sampled_levels = levels if sampled_levels is None else min(sampled_levels, levels)
    vocabulary = model.vocabulary
    hidden_levels = torch.arange(levels, device=ids.device)[:, None] >= known_levels
    ids = torch.where(unknown[:, None] & hidden_levels, vocabulary.mask, ids)
    score = torch.zeros(len(ids), device=ids.device)
    for level in range(known_levels, sampled_levels):
        passes = steps if level == 0 else max(1, steps // 4)
        for number in range(passes):
            masked = (ids[:, level] == vocabulary.mask) & unknown
            hidden = model.target(model.context(ids))
            logits = model.level_logits(hidden, level).float()
            temperature_now = temperature * (1 - number / passes)
            sampled, log_p = sample(logits, temperature_now, noise)
            left = math.cos(math.pi / 2 * (number + 1) / passes)
            # codes filled in earlier passes stay: only masked positions are ranked
            confidence_noise = _CHOICE_TEMPERATURE * temperature * (1 - (number + 1) / passes)
            confidence = log_p + confidence_noise * noise.gumbel(log_p)
            keep = (unknown.sum(dim=1) * (1 - left)).ceil().long()
            fresh = (keep - (unknown & ~masked).sum(dim=1)).clamp_min(0)
            rank = confidence.masked_fill(~masked, -torch.inf).argsort(dim=1, descending=True)
            place = rank.argsort(dim=1)
            accepted = masked & (place < fresh[:, None])
            ids[:, level] = torch.where(accepted, sampled, ids[:, level])
            score = score + (log_p * accepted).sum(dim=1)
    vectors = _sum_of_vectors(model, ids[:, :sampled_levels])
    if sampled_levels < levels:
        hidden = model.target(model.context(ids))
        for level in range(sampled_levels, levels):
            log_p = model.level_logits(hidden, level).float().log_softmax(dim=-1)
            vectors = vectors + log_p.exp() @ model.codebooks[level].float()
            best, code = log_p.max(dim=-1)
            ids[:, level] = torch.where(unknown, code, ids[:, level])
            score = score + (best * unknown).sum(dim=1)
    return Decoded(ids, vectors, score / (unknown.sum(dim=1) * levels).clamp_min(1))


def _sum_of_vectors(model: MaskedLM, ids: Tensor) -> Tensor:
    """The levels' code vectors summed, [B, F, D], of ids [B, 0..levels, F]."""
    total = model.codebooks.new_zeros(len(ids), ids.shape[-1], model.config.code_dim)
    for level, codes in enumerate(ids.unbind(dim=1)):
        known = codes < model.config.codebook_size
        total = total + known[..., None] * F.embedding(codes * known, model.codebooks[level])
    return total.float()


def sample(logits: Tensor, temperature: float, noise: PerRecordingNoise) -> tuple[Tensor, Tensor]:
    """Sample codes [B, F] of logits [B, F, K], with their log-probabilities [B, F]."""
    log_p = logits.log_softmax(dim=-1)
    if temperature > 0:
        # the Gumbel-max trick
        codes = (log_p / temperature + noise.gumbel(log_p)).argmax(dim=-1)
    else:
        codes = log_p.argmax(dim=-1)
    return codes, log_p.gather(-1, codes[..., None]).squeeze(-1)
