"""Iterative decoding: fill masked positions, the surest first (MaskGIT, Chang et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.mlm.model import MaskedLM

#: Gumbel noise on the confidences at the first step; it falls to zero by the last
CHOICE_TEMPERATURE = 4.5


class Decoded(NamedTuple):
    """What stands where there was a gap.

    Attributes:
        ids: codes [B, levels, F], the likeliest ones where none was drawn.
        vectors: the sums of their code vectors [B, F, D]; where no code was drawn, the vector
            that is to be expected.
        score: mean log-probability of what was drawn, or of the likeliest codes, in the gap [B].
    """

    ids: Tensor
    vectors: Tensor
    score: Tensor


class PerRecordingNoise:
    """Random numbers for rows of a batch that must not depend on each other.

    Args:
        parts: a generator on the CPU, how many of the rows it serves, and how many in a row share
            their numbers (the channels of a recording, so that equal ones are filled equally).
    """

    def __init__(self, parts: Sequence[tuple[torch.Generator, int, int]]) -> None:
        self.parts = parts

    def gumbel(self, like: Tensor) -> Tensor:
        """Standard Gumbel noise, drawn on the CPU so that every device gives the same."""
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
    drawn: int | None = None,
) -> Decoded:
    """Fill a gap level by level, coarse to fine, each level in passes.

    After pass i of n the share cos(π i / 2 n) of the level's gap is masked again: what the
    model was least sure of. The first level gets ``steps`` passes, the finer ones a quarter; over
    a level's passes temperature and noise fall. The finest levels may be left undrawn: their
    vectors are then what is to be expected, given the coarser ones. That is nearer to what was
    there than any draw, and smoother.

    Args:
        ids: [B, levels, F] codes; what stands where ``unknown`` is true does not matter. MASK
            elsewhere is left as it is.
        unknown: bool [B, F], true in the gap.
        steps: passes over the first level.
        temperature: of the sampling in the first pass; 0 takes the likeliest code.
        noise: draws the samples.
        drawn: how many levels are drawn; all when None.

    Raises:
        ValueError: no steps, which would leave the gap as it is.
    """
    if steps < 1:
        raise ValueError(f"a gap takes one step at least, not {steps}")
    levels = ids.shape[1]
    drawn = levels if drawn is None else min(drawn, levels)
    vocabulary = model.vocabulary
    ids = torch.where(unknown[:, None], vocabulary.mask, ids)
    score = torch.zeros(len(ids), device=ids.device)
    for level in range(drawn):
        passes = steps if level == 0 else max(1, steps // 4)
        for number in range(passes):
            masked = (ids[:, level] == vocabulary.mask) & unknown
            hidden = model.target(model.context(ids))
            logits = model.level_logits(hidden, level).float()
            # the first codes may surprise, the last ones have to fit
            temperature_now = temperature * (1 - number / passes)
            sampled, log_p = sample(logits, temperature_now, noise)
            left = math.cos(math.pi / 2 * (number + 1) / passes)
            # codes filled earlier are never taken back: only this pass's are ranked
            confidence_noise = CHOICE_TEMPERATURE * temperature * (1 - (number + 1) / passes)
            confidence = log_p + confidence_noise * noise.gumbel(log_p)
            keep = (unknown.sum(dim=1) * (1 - left)).ceil().long()
            fresh = (keep - (unknown & ~masked).sum(dim=1)).clamp_min(0)
            rank = confidence.masked_fill(~masked, -torch.inf).argsort(dim=1, descending=True)
            place = rank.argsort(dim=1)
            taken = masked & (place < fresh[:, None])
            ids[:, level] = torch.where(taken, sampled, ids[:, level])
            score = score + (log_p * taken).sum(dim=1)
    vectors = sum_of_vectors(model, ids[:, :drawn])
    if drawn < levels:
        hidden = model.target(model.context(ids))
        for level in range(drawn, levels):
            log_p = model.level_logits(hidden, level).float().log_softmax(dim=-1)
            vectors = vectors + log_p.exp() @ model.codebooks[level].float()
            best, code = log_p.max(dim=-1)
            ids[:, level] = torch.where(unknown, code, ids[:, level])
            score = score + (best * unknown).sum(dim=1)
    return Decoded(ids, vectors, score / (unknown.sum(dim=1) * levels).clamp_min(1))


def sum_of_vectors(model: MaskedLM, ids: Tensor) -> Tensor:
    """The sums of code vectors [B, F, D] of ids [B, 0..levels, F]; special tokens have none."""
    total = model.codebooks.new_zeros(len(ids), ids.shape[-1], model.config.code_dim)
    for level, codes in enumerate(ids.unbind(dim=1)):
        known = codes < model.config.codebook_size
        total = total + known[..., None] * F.embedding(codes * known, model.codebooks[level])
    return total.float()


def sample(logits: Tensor, temperature: float, noise: PerRecordingNoise) -> tuple[Tensor, Tensor]:
    """Draw codes [B, F] from logits [B, F, K], with their log-probabilities [B, F]."""
    log_p = logits.log_softmax(dim=-1)
    if temperature > 0:
        # the maximum of log p / T plus Gumbel noise is a sample of the softmax
        codes = (log_p / temperature + noise.gumbel(log_p)).argmax(dim=-1)
    else:
        codes = log_p.argmax(dim=-1)
    return codes, log_p.gather(-1, codes[..., None]).squeeze(-1)
