"""Iterative decoding: fill masked positions, the surest first (MaskGIT, Chang et al. 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from audiomask.mlm.model import MaskedLM

#: Gumbel noise on the confidences at the first step; it falls to zero by the last
CHOICE_TEMPERATURE = 4.5


@torch.inference_mode()
def fill(
    model: MaskedLM,
    ids: Tensor,
    unknown: Tensor,
    steps: int,
    temperature: float,
    generator: torch.Generator,
    channels: int = 1,
) -> tuple[Tensor, Tensor]:
    """Fill a gap level by level, coarse to fine, each level in passes.

    After pass i of n the share cos(π i / 2 n) of the level's gap is masked again: what the
    model was least sure of. The first level gets ``steps`` passes, the finer ones a quarter.

    Args:
        ids: [B, levels, F] codes; what stands where ``unknown`` is true does not matter. MASK
            elsewhere is left as it is.
        unknown: bool [B, F], true in the gap.
        steps: passes over the first level.
        temperature: of the sampling; 0 takes the likeliest code.
        generator: draws the samples, on the CPU.
        channels: that many rows in a row share their random numbers, so that equal channels
            of a recording are filled equally.

    Returns:
        the filled ids, and per row the mean log-probability of what was filled in [B].

    Raises:
        ValueError: no steps, which would leave the gap as it is.
    """
    if steps < 1:
        raise ValueError(f"a gap takes one step at least, not {steps}")
    vocabulary = model.vocabulary
    ids = torch.where(unknown[:, None], vocabulary.mask, ids)
    score = torch.zeros(len(ids), device=ids.device)
    for level in range(ids.shape[1]):
        passes = steps if level == 0 else max(1, steps // 4)
        for number in range(passes):
            masked = (ids[:, level] == vocabulary.mask) & unknown
            hidden = model.target(model.context(ids))
            logits = model.level_logits(hidden, level).float()
            sampled, log_p = sample(logits, temperature, generator, channels)
            left = math.cos(math.pi / 2 * (number + 1) / passes)
            # codes filled earlier are never taken back: only this pass's are ranked
            heat = CHOICE_TEMPERATURE * temperature * (1 - (number + 1) / passes)
            confidence = log_p + heat * gumbel(log_p, generator, channels)
            keep = (unknown.sum(dim=1) * (1 - left)).ceil().long()
            fresh = (keep - (unknown & ~masked).sum(dim=1)).clamp_min(0)
            rank = confidence.masked_fill(~masked, -torch.inf).argsort(dim=1, descending=True)
            place = rank.argsort(dim=1)
            taken = masked & (place < fresh[:, None])
            ids[:, level] = torch.where(taken, sampled, ids[:, level])
            score = score + (log_p * taken).sum(dim=1)
    return ids, score / (unknown.sum(dim=1) * ids.shape[1]).clamp_min(1)


def sample(
    logits: Tensor, temperature: float, generator: torch.Generator, channels: int = 1
) -> tuple[Tensor, Tensor]:
    """Draw codes [B, F] from logits [B, F, K], with their log-probabilities [B, F]."""
    log_p = logits.log_softmax(dim=-1)
    if temperature > 0:
        # the maximum of log p / T plus Gumbel noise is a sample of the softmax
        codes = (log_p / temperature + gumbel(log_p, generator, channels)).argmax(dim=-1)
    else:
        codes = log_p.argmax(dim=-1)
    return codes, log_p.gather(-1, codes[..., None]).squeeze(-1)


def gumbel(like: Tensor, generator: torch.Generator, channels: int = 1) -> Tensor:
    """Standard Gumbel noise, drawn on the CPU so that every device gives the same.

    Every ``channels`` rows share theirs.
    """
    shape = (like.shape[0] // channels, *like.shape[1:])
    uniform = torch.rand(shape, generator=generator).clamp_(1e-9, 1 - 1e-7)
    return -(-uniform.log()).log().repeat_interleave(channels, dim=0).to(like.device)
