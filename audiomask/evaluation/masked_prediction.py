"""Masked prediction: the bits a token that a masked language model needs for masked tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomask.evaluation.bigram import Bigram
from audiomask.networks.mlm.masking import SELECTED
from audiomask.networks.mlm.model import MaskedLM

#: the masked input and the mask (bool) of ids [B, levels, F], all of this shape
Mask = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
#: measures of every predicted token
COLUMNS = ("nll", "right", "short", "unigram", "bigram")
#: windows in a batch
BATCH = 4
#: seconds of the window of the paper's model
_SHORT = 0.18


@dataclass(frozen=True)
class MaskedPredictions:
    """Predicted tokens, in no order: one row of every tensor is one token.

    Attributes:
        code: the true code, int64 [N].
        level: of the code, int64 [N].
        clip: index of its clip, int64 [N].
        values: ``COLUMNS``, double [N, 5]. All are bits except ``right``, which is 1 where the most
            likely code is the true one. ``short`` is the same model's with a window of 0.18 s.
            NaN where there is no baseline.
        masked: whether the model's input was MASK there, bool [N].
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
    """The tokens of all parts."""
    rows = [(p.code, p.level, p.clip, p.values, p.masked) for p in parts]
    return MaskedPredictions(*(torch.cat(column) for column in zip(*rows, strict=True)))


def starts(frames: int, window: int) -> list[int]:
    """First frames of consecutive windows; the last window ends with the clip."""
    return sorted({*range(0, frames - window + 1, window), frames - window})


def frame_mask(ids: Tensor, mask: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mask 15 % of the frames on all levels, as in a gap.

    Args:
        ids: [B, levels, F].
        mask: the id of MASK.
        generator: of the random frames.

    Returns:
        The model's input, and the mask (bool), both [B, levels, F].
    """
    drawn = torch.rand(len(ids), 1, ids.shape[-1], generator=generator) < SELECTED
    chosen = drawn.expand_as(ids)
    return torch.where(chosen, mask, ids), chosen


def baseline_bits(clip: Tensor, models: Sequence[Bigram]) -> Tensor:
    """Bits of every token of a clip by unigram and bigram, double [levels, F, 2].

    Args:
        clip: codes [levels, F].
        models: one a level; without any, all are NaN.
    """
    if not models:
        return torch.full((*clip.shape, 2), torch.nan, dtype=torch.double)
    rows = [
        torch.stack([model.unigram_bits(row), model.bigram_bits(row)], dim=-1)
        for model, row in zip(models, clip.long(), strict=True)
    ]
    return torch.stack(rows)


def batches(clips: Sequence[Tensor], window: int) -> list[list[tuple[int, int]]]:
    """Batches of all windows of all clips [levels, F], each as (clip, first frame)."""
    places = [(n, at) for n, clip in enumerate(clips) for at in starts(clip.shape[1], window)]
    return [places[first : first + BATCH] for first in range(0, len(places), BATCH)]


def _token_bits(model: MaskedLM, inputs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The bits of each token by a model, and whether its most likely code is the true one.

    Args:
        model: in evaluation mode.
        inputs: masked ids [B, levels, F], on its device.
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
    baselines: Sequence[Tensor],
    batch: Sequence[tuple[int, int]],
    mask: Mask,
    generator: torch.Generator,
) -> MaskedPredictions:
    """Predict masked tokens of a batch of windows.

    Args:
        model: in evaluation mode.
        clips: codes [levels, F] each, F at least the model's window.
        baselines: ``baseline_bits`` of each clip.
        batch: the windows, as ``batches`` returns them.
        mask: chooses the tokens.
        generator: for ``mask``, on the CPU.
    """
    window = model.config.window
    device = next(model.parameters()).device
    ids = torch.stack([clips[n][:, at : at + window] for n, at in batch]).long()
    inputs, chosen = mask(ids, generator)
    inputs = inputs.to(device)
    whole, right = _token_bits(model, inputs, ids)
    size = max(round(_SHORT * model.config.sample_rate / model.config.hop_length), 1)
    refs = zip(torch.split(inputs, size, -1), torch.split(ids, size, -1), strict=True)
    short = torch.cat([_token_bits(model, *ref)[0] for ref in refs], dim=-1)
    others = torch.stack([baselines[n][:, at : at + window] for n, at in batch])
    values = torch.cat([torch.stack([whole, right, short], dim=-1), others], dim=-1)
    row, level, _ = chosen.nonzero(as_tuple=True)
    clip = torch.tensor([n for n, _ in batch])[row]
    hidden = (inputs == model.vocabulary.mask)[chosen]
    return MaskedPredictions(ids[chosen], level, clip, values[chosen], hidden)
