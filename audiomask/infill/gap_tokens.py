"""Tokens of a gap, predicted by the masked language model in windows of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.infill.context import GapContext
from audiomask.infill.gaps import Gap
from audiomask.infill.settings import InfillSettings
from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode
from audiomask.networks.mlm.model import MaskedLM


def predict_gap_tokens(
    mlm: MaskedLM,
    settings: InfillSettings,
    codes: Tensor,
    vectors: Tensor,
    context: GapContext,
    gap: Gap,
) -> int:
    """Fill a gap's codes and vectors in place; returns the number of windows.

    A gap of more than half the model's window is filled in parts from left to right, other unknown
    frames masked. All candidates are one batch. Given the channels once, every part keeps the
    likeliest; given them as often as there are candidates, each goes on by itself.

    Args:
        mlm: predicts them.
        settings: how tokens are drawn, and how many candidates.
        codes: [C, levels, F], or of all candidates, [candidates * C, levels, F].
        vectors: code vectors [C, F, D], or of all candidates.
        context: the frames' context.
        gap: the gap; its start and the seed decide the random numbers.
    """
    window, rows = mlm.config.window, codes.shape[0]
    channels = context.samples.shape[0]
    drawn = settings.candidates if rows == channels else 1
    # at temperature 0 no level is sampled: all get expected vectors
    sampled_levels = None if settings.temperature else 0
    generator = torch.Generator().manual_seed((settings.seed << 20) ^ gap.start)
    unknown = context.unknown.to(codes.device)
    portions = torch.split(torch.arange(context.first, context.last), max(window // 2, 1))
    for portion in portions:
        first, last = int(portion[0]), int(portion[-1]) + 1
        low = max(min(first - (window - (last - first)) // 2, len(unknown) - window), 0)
        view = slice(low, low + window)
        inside = torch.zeros_like(unknown[view])
        inside[first - low : last - low] = True
        ids = torch.where(unknown[view], mlm.vocabulary.mask, codes[..., view])
        filled = iterative_decode(
            mlm,
            ids.repeat(drawn, 1, 1),
            inside.expand(drawn * rows, -1),
            settings.steps,
            settings.temperature,
            PerRecordingNoise([(generator, drawn * rows, channels)]),
            sampled_levels,
        )
        best = int(filled.score.view(drawn, rows).mean(dim=1).argmax())
        chosen = slice(best * rows, (best + 1) * rows)
        codes[..., first:last] = filled.ids[chosen, :, first - low : last - low]
        vectors[:, first:last] = filled.vectors[chosen, first - low : last - low]
        unknown[first:last] = False
    return len(portions)
