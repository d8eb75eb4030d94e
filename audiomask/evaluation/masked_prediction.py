"""Guesses: how many bits a masked language model needs for tokens that it does not see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.evaluation.bigram import Bigram
from audiomask.networks.mlm.masking import SELECTED
from audiomask.networks.mlm.model import MaskedLM

#: input and masked places of ids [B, levels, F], drawn by a generator
Mask = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
#: what is measured of every guessed token
COLUMNS = ("nll", "right", "short", "unigram", "bigram")
#: windows guessed at a time
BATCH = 4
#: seconds that the paper's model saw at once
SHORT = 0.18


@dataclass(frozen=True)
class MaskedPredictions:
    """Tokens that were guessed, in no order: one row of every Tensor is one token.

    Attributes:
        code: which token, int64 [N].
        level: of which level, int64 [N].
        clip: of which clip, int64 [N].
        values: ``COLUMNS`` of each, double [N, 5], in bits but for the second, which is 1 if the
            likeliest token was the right one; NaN where there is no baseline. ``short`` is the
            same model's when it sees only 0.18 s at once.
        masked: whether the model saw MASK in its place, bool [N].
    """

    code: Tensor
    level: Tensor
    clip: Tensor
    values: Tensor
    masked: Tensor

    def where(self, chosen: Tensor) -> MaskedPredictions:
        """The tokens for which ``chosen``, bool [N], is true."""
        rows = (self.code, self.level, self.clip, self.values, self.masked)
        return MaskedPredictions(*(row[chosen] for row in rows))


def concatenate(parts: Sequence[MaskedPredictions]) -> MaskedPredictions:
    """All tokens of several."""
    rows = [(p.code, p.level, p.clip, p.values, p.masked) for p in parts]
    return MaskedPredictions(*(torch.cat(column) for column in zip(*rows, strict=True)))


def starts(frames: int, window: int) -> list[int]:
    """Where windows begin: end to end, the last one moved back to end with the clip."""
    return sorted({*range(0, frames - window + 1, window), frames - window})


def frame_mask(ids: Tensor, mask: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """15 % of the frames masked on all levels, as in a gap.

    Args:
        ids: [B, levels, F].
        mask: the id of MASK.
        generator: draws them.

    Returns:
        the model's input, and what was masked (bool), both [B, levels, F].
    """
    drawn = torch.rand(len(ids), 1, ids.shape[-1], generator=generator) < SELECTED
    chosen = drawn.expand_as(ids)
    return torch.where(chosen, mask, ids), chosen


def baseline_bits(clip: Tensor, models: Sequence[Bigram]) -> Tensor:
    """What unigram and bigram need for every token of a clip: double [levels, F, 2].

    Args:
        clip: codes [levels, F].
        models: one a level; NaN everywhere if there are none.
    """
    if not models:
        return torch.full((*clip.shape, 2), torch.nan, dtype=torch.double)
    rows = [
        torch.stack([model.unigram_bits(row), model.bigram_bits(row)], dim=-1)
        for model, row in zip(models, clip.long(), strict=True)
    ]
    return torch.stack(rows)


def batches(clips: Sequence[Tensor], window: int) -> list[list[tuple[int, int]]]:
    """Every window of every clip [levels, F] as (clip, first frame), some of them a batch."""
    places = [(n, at) for n, clip in enumerate(clips) for at in starts(clip.shape[1], window)]
    return [places[first : first + BATCH] for first in range(0, len(places), BATCH)]


def token_bits(model: MaskedLM, inputs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Bits that a model needs for each token, and whether its first guess is right.

    Args:
        inputs: what it sees [B, levels, F], on its device.
        ids: the true codes [B, levels, F], on the CPU.

    Returns:
        double [B, levels, F] each, on the CPU.
    """
    logits = model.logits(model.target(model.context(inputs))).float().cpu()
    nats = logits.log_softmax(dim=-1).gather(-1, ids[..., None])[..., 0]
    return -nats.double() / math.log(2), (logits.argmax(dim=-1) == ids).double()


@torch.inference_mode()
def predict_masked(
    model: MaskedLM,
    clips: Sequence[Tensor],
    beside: Sequence[Tensor],
    batch: Sequence[tuple[int, int]],
    mask: Mask,
    generator: torch.Generator,
) -> MaskedPredictions:
    """Guess masked tokens of some windows.

    Args:
        model: in evaluation mode.
        clips: codes [levels, F] each, F at least the model's window.
        beside: ``baseline_bits`` of the clips.
        batch: the windows, as ``batches`` gives them.
        mask: chooses the tokens.
        generator: of the random numbers that it needs, on the CPU.
    """
    window = model.config.window
    device = next(model.parameters()).device
    ids = torch.stack([clips[n][:, at : at + window] for n, at in batch]).long()
    inputs, chosen = mask(ids, generator)
    inputs = inputs.to(device)
    whole, right = token_bits(model, inputs, ids)
    size = max(round(SHORT * model.config.sample_rate / model.config.hop_length), 1)
    refs = zip(torch.split(inputs, size, -1), torch.split(ids, size, -1), strict=True)
    short = torch.cat([token_bits(model, *ref)[0] for ref in refs], dim=-1)
    others = torch.stack([beside[n][:, at : at + window] for n, at in batch])
    values = torch.cat([torch.stack([whole, right, short], dim=-1), others], dim=-1)
    row, level, _ = chosen.nonzero(as_tuple=True)
    clip = torch.tensor([n for n, _ in batch])[row]
    hidden = (inputs == model.vocabulary.mask)[chosen]
    return MaskedPredictions(ids[chosen], level, clip, values[chosen], hidden)
