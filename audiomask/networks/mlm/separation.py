"""Separation by tokens: sequences, and the likeliest codes of a stem."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.mlm.vocabulary import Vocabulary


def separation_ids(mixture: Tensor, stem: Tensor, sep: int) -> Tensor:
    """The paper's sequence ``mixture SEP stem``.

    Args:
        mixture: codes [B, levels, F].
        stem: codes or MASK [B, levels, F].
        sep: the id of the stem's SEP token.

    Returns:
        [B, levels, 2 F + 1].
    """
    separator = torch.full_like(mixture[..., :1], sep)
    return torch.cat([mixture, separator, stem], dim=-1)


@torch.inference_mode()
def stem_codes(model: MaskedLM, mixture: Tensor, stem: int, bands: Tensor | None = None) -> Tensor:
    """The likeliest codes [B, levels, F] of a stem whose tokens are all masked.

    Args:
        mixture: codes [B, levels, F].
        stem: index of the stem.
        bands: band features of the mixture [B, bands, F], for a model that was trained on them.
    """
    vocabulary: Vocabulary = model.vocabulary
    masked = torch.full_like(mixture, vocabulary.mask)
    if model.config.layout == "concatenated":
        sep = vocabulary.codebook_size + 2 + stem
        hidden = model.target(model.context(separation_ids(mixture, masked, sep)))
        hidden = hidden[:, mixture.shape[-1] + 1 :]
    else:
        stems = torch.full((len(mixture),), stem, device=mixture.device)
        hidden = model.target(model.context(mixture, bands), masked, stems)
    return model.logits(hidden).argmax(dim=-1)
