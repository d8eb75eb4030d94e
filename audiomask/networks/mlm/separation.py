"""Separation by tokens: sequences, and the likeliest codes of a stem."""

from __future__ import annotations

from collections.abc import Sequence

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
def stem_codes(
    model: MaskedLM,
    mixture: Tensor,
    stems: Sequence[int],
    bands: Tensor | None = None,
    drafts: Tensor | None = None,
) -> Tensor:
    """The likeliest codes [S, B, levels, F] of stems whose tokens are all masked.

    Args:
        mixture: codes [B, levels, F].
        stems: indices of the stems.
        bands: band features of the mixture [B, bands, F], for a model that was trained on them.
        drafts: codes of rough estimates of these stems [S, B, levels, F], MASK where there is
            none, for a model that was trained on them.
    """
    vocabulary: Vocabulary = model.vocabulary
    masked = torch.full_like(mixture, vocabulary.mask)
    found = []
    if model.config.layout == "concatenated":
        for stem in stems:
            sep = vocabulary.codebook_size + 2 + stem
            hidden = model.target(model.context(separation_ids(mixture, masked, sep)))
            found.append(hidden[:, mixture.shape[-1] + 1 :])
    else:
        context = model.context(mixture, bands)
        for place, stem in enumerate(stems):
            rows = torch.full((len(mixture),), stem, device=mixture.device)
            draft = None if drafts is None else drafts[place]
            found.append(model.target(context, masked, rows, draft=draft))
    return torch.stack([model.logits(hidden).argmax(dim=-1) for hidden in found])
