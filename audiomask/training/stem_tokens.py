"""Tokens of songs and all their stems, as the token cache keeps them for the MLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from audiomask.data.excerpt import Excerpt
from audiomask.training.tasks.mlm import BatchEncoder, MLMBatch, encode

#: settings of the MLM that decide what is kept
_SETTINGS = ("levels", "window", "bands", "band_stft", "band_frames", "draft")


class StemTokenEncoder:
    """Encodes excerpts with all their stems; an item has a random one of them each time.

    Args:
        encoder: encodes excerpts with one stem each.
    """

    def __init__(self, encoder: BatchEncoder) -> None:
        self.encoder, self.seed = encoder, encoder.seed

    def settings(self) -> dict[str, Any]:
        """Settings of the MLM, for JSON."""
        return {name: getattr(self.encoder.config, name) for name in _SETTINGS}

    def encode(self, excerpts: Excerpt, numbers: Tensor) -> dict[str, Tensor]:
        """Codes of excerpts [B, …] and of their stems, int32; powers of the mixtures, bfloat16.

        Args:
            excerpts: the excerpts.
            numbers: of the excerpts, int64 [B], which decide the drafts.
        """
        mixtures, named = excerpts.mixture[:, 0], excerpts.stems[:, :-1, 0]
        vqvae, levels = self.encoder.vqvae, self.encoder.config.levels
        mixture = encode(vqvae, mixtures, levels)
        stems = encode(vqvae, named.flatten(0, 1), levels)
        stems = stems.view(*named.shape[:2], *stems.shape[1:])
        number = named.shape[1]
        seeds = numbers.repeat_interleave(number) * number
        seeds = seeds + torch.arange(number, device=seeds.device).repeat(len(named))
        whole = mixtures.repeat_interleave(number, dim=0)
        rough = self.encoder.drafts(whole, named.flatten(0, 1), seeds)
        drafts = encode(vqvae, rough, levels).view(stems.shape) if len(rough) else stems[:, :0]
        return {
            "mixture": mixture.to(torch.int32),
            "stems": stems.to(torch.int32),
            "mixture_power": self.encoder.powers(mixtures).to(torch.bfloat16),
            "drafts": drafts.to(torch.int32),
            "has_stems": excerpts.has_stems,
        }

    def item(self, kept: Mapping[str, Tensor], index: int) -> MLMBatch:
        """An excerpt with one of its stems, decided by the index."""
        stem_index = self.encoder.sample(index)[0]
        number, drafts = int(stem_index), kept["drafts"]
        return MLMBatch(
            kept["mixture"].long(),
            kept["stems"][number].long(),
            stem_index,
            kept["mixture_power"].float(),
            drafts[number].long() if len(drafts) else drafts.long(),
            kept["has_stems"],
        )

    def finish(self, batch: MLMBatch) -> MLMBatch:
        """The batch as it is."""
        return batch
