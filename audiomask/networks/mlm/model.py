"""The masked language model: tokens to a distribution over codes at every position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.networks.layers.transformer import Transformer
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.mlm.vocabulary import Vocabulary


class MaskedLM(nn.Module):
    """One model for plain sequences (infill) and for ``mixture SEP_stem stem`` (separation).

    A plain sequence goes through ``context``, then ``target``. In the aligned layout the mixture
    goes through ``context`` once, and ``target`` adds a stem's SEP and tokens. In the concatenated
    layout the whole sequence, SEP and stem included, goes through ``context``.

    Args:
        config: the model's configuration.
        codebooks: the VQ-VAE's code vectors [levels, K, D], from which tokens are embedded; None
            before a checkpoint is loaded.
    """

    codebooks: Tensor

    def __init__(self, config: MLMConfig, codebooks: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = Vocabulary(config.codebook_size, config.stems)
        dim, levels = config.dim, config.levels
        if codebooks is None:
            codebooks = torch.zeros(levels, config.codebook_size, config.code_dim)
        self.register_buffer("codebooks", codebooks.detach().clone())
        self.code_projections = nn.ModuleList(
            nn.Linear(config.code_dim, dim) for _ in range(levels)
        )
        # uniform, not normal: normal numbers on the meta device, where a checkpoint's shapes are
        # checked, make torch import its compiler, which takes a second
        self.special_embeddings = nn.Parameter(
            torch.empty(levels, 2 + len(config.stems), dim).uniform_(-0.87, 0.87)
        )
        self.context_layers = Transformer(dim, config.heads, config.layers, config.kernel)
        self.stem_layers = Transformer(dim, config.heads, config.stem_layers, config.kernel)
        self.norm = nn.LayerNorm(dim)
        self.heads = nn.ModuleList(
            _output_layer(dim, config.codebook_size, config.head_rank) for _ in range(levels)
        )
        self.code_similarity_heads = nn.ModuleList(
            nn.Linear(dim, config.code_dim) for _ in range(levels)
        )
        for parameter in self.code_similarity_heads.parameters():
            # at first all codes are equally likely
            nn.init.zeros_(parameter)
        if config.bands:
            self.band_projection = nn.Linear(config.bands, dim)
            self.no_band_embedding = nn.Parameter(torch.zeros(dim))
        if config.draft:
            self.draft_projection = nn.Linear(dim, dim)
            self.no_draft_embedding = nn.Parameter(torch.zeros(dim))

    def embed(self, ids: Tensor) -> Tensor:
        """The levels' token embeddings summed, [B, F, dim], of ids [B, levels, F].

        Embeddings of codes are projections of the VQ-VAE's code vectors; those of special tokens
        are parameters. The channels of ids [B, C, levels, F] are averaged.
        """
        if ids.dim() == 4:
            together = self.embed(ids.flatten(0, 1))
            return together.view(*ids.shape[:2], *together.shape[1:]).mean(dim=1)
        total: Tensor | float = 0.0
        for level, project in enumerate(self.code_projections):
            codes = project(self.code_vectors(level))
            table = torch.cat([codes, self.special_embeddings[level].to(codes.dtype)])
            total = total + F.embedding(ids[:, level], table)
        assert isinstance(total, Tensor)
        return total

    def code_vectors(self, level: int) -> Tensor:
        """A level's code vectors [K, D], scaled to a root mean square of one."""
        vectors = self.codebooks[level]
        return vectors / vectors.square().mean().sqrt().clamp_min(1e-6)

    def context(
        self, ids: Tensor, bands: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> Tensor:
        """Hidden states [B, F, dim] of a sequence.

        Args:
            ids: [B, levels, F], or [B, C, levels, F] for several channels.
            bands: band features of the mixture, [B, bands, F / band_frames] (see
                ``band_features``), or None.
            attention_mask: bool [B, F], false at padding.
        """
        x = self.embed(ids)
        if self.config.bands:
            x = x + (
                self.no_band_embedding if bands is None else self.embed_bands(bands, x.shape[1])
            )
        return self.context_layers(x, attention_mask)  # type: ignore[no-any-return]

    def embed_bands(self, bands: Tensor, frames: int) -> Tensor:
        """Band features [B, bands, F'] embedded and repeated, [B, frames, dim]."""
        slow: Tensor = self.band_projection(bands.mT)
        return slow.repeat_interleave(self.config.band_frames, dim=1)[:, :frames]

    def target(
        self,
        hidden: Tensor,
        ids: Tensor | None = None,
        stem: Tensor | None = None,
        attention_mask: Tensor | None = None,
        draft: Tensor | None = None,
    ) -> Tensor:
        """Final hidden states [B, F, dim] of the sequence itself, or of a stem in it.

        Args:
            hidden: [B, F, dim] from ``context``.
            ids: the stem's tokens [B, levels, F], masked where unknown.
            stem: index of each row's stem [B].
            attention_mask: bool [B, F], false at padding.
            draft: tokens of a rough estimate of the stem [B, levels, F], MASK in rows that have
                none; ignored by a model that was not trained on drafts.
        """
        if stem is not None:
            assert ids is not None
            separator = self.special_embeddings[:, 2:].sum(dim=0)[stem]
            hidden = hidden + self.embed(ids) + separator[:, None]
            if self.config.draft:
                hidden = hidden + self._embed_draft(draft)
        return self.norm(self.stem_layers(hidden, attention_mask))  # type: ignore[no-any-return]

    def _embed_draft(self, draft: Tensor | None) -> Tensor:
        """A draft [B, levels, F] embedded, [B, F, dim], or what stands for none."""
        if draft is None:
            return self.no_draft_embedding
        missing = (draft[:, 0] == self.vocabulary.mask)[..., None]
        embedded = self.draft_projection(self.embed(draft))
        return torch.where(missing, self.no_draft_embedding.to(embedded.dtype), embedded)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of every code, [B, levels, F, K], of final hidden states [B, F, dim]."""
        return torch.stack(
            [self.level_logits(hidden, level) for level in range(self.config.levels)], dim=1
        )

    def level_logits(self, hidden: Tensor, level: int) -> Tensor:
        """Logits of one level's codes, [..., K], of final hidden states [..., dim].

        The similarity with the VQ-VAE's code vectors is learned fast, as similar codes lie close to
        each other; an output layer adds what it cannot express, such as each code's frequency.
        """
        near = self.code_similarity_heads[level](hidden) @ self.code_vectors(level).T.to(
            hidden.dtype
        )
        return near + self.heads[level](hidden)  # type: ignore[no-any-return]


def _output_layer(dim: int, codes: int, rank: int) -> nn.Module:
    """A layer from hidden states to logits of codes, of that rank; 0 for full rank."""
    if not rank:
        return nn.Linear(dim, codes)
    return nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, codes))
