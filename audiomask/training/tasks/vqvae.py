"""What a training step of a VQ-VAE is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audiomask.checkpoint import save_checkpoint
from audiomask.data.excerpt import Excerpt, generator
from audiomask.networks.layers.convnext import ConvNeXtBlock
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime import distributed


class VQVAETask:
    """Reconstruct crops of mixtures and stems."""

    #: weight of a step in the running usage of codes, and the share of the mean usage under which
    #: a code counts as dead
    USAGE, DEAD = 0.02, 0.01

    def __init__(self, model: AnyVQVAE, preset: str, notes: dict[str, Any]) -> None:
        self.model = model
        self.preset = preset
        self.notes = notes
        self.usage: Tensor | None = None

    def blocks(self) -> Iterator[nn.Module]:
        """The ConvNeXt blocks."""
        return (part for part in self.model.modules() if isinstance(part, ConvNeXtBlock))

    def untaught(self) -> Iterator[nn.Parameter]:
        """None."""
        return iter(())

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of crops [B, N, T]."""
        output = self.model(batch.flatten(0, 1))
        numbers = {name: value.detach() for name, value in output.losses.items()}
        for level, value in enumerate(output.perplexity, start=1):
            numbers[f"perplexity_{level}"] = value
        if self.model.training:
            for level, dead in enumerate(self.dead(output.codes), start=1):
                numbers[f"dead_{level}"] = dead
        return output.loss, numbers

    def dead(self, codes: Tensor) -> Tensor:
        """How many codes of each level are hardly used of late, [levels].

        Args:
            codes: of a batch [B, levels, F].
        """
        size = self.model.config.codebook_size
        counts = torch.stack(
            [torch.bincount(level.flatten(), minlength=size) for level in codes.unbind(dim=1)]
        ).float()
        counts = distributed.all_reduce_sum(counts)
        self.usage = counts if self.usage is None else self.usage.lerp(counts, self.USAGE)
        return (self.usage < self.DEAD * self.usage.mean(dim=1, keepdim=True)).float().sum(dim=1)

    def sounds(self, batch: Tensor) -> dict[str, Tensor]:
        """The first crops of a batch [B, N, T], and what became of them."""
        crops = batch[:4, 0]
        pairs = zip(crops, self.model.decode(self.model.encode(crops)), strict=True)
        return {
            f"{number}-{name}": audio
            for number, pair in enumerate(pairs, start=1)
            for name, audio in zip(("original", "reconstruction"), pair, strict=True)
        }

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Write the VQ-VAE's checkpoint."""
        config = asdict(self.model.config)
        save_checkpoint(folder, "vqvae", self.preset, config, weights, self.notes | notes)


class Crops:
    """Crops of each excerpt: every other one from the mixture, the others from stems alone.

    Making an excerpt costs far more than cutting it up, hence several crops of each.

    Args:
        crop: length of a crop in samples.
        number: how many crops N of an excerpt.
        seed: with an item's index, decides where they are cut.
    """

    def __init__(self, crop: int, number: int, seed: int) -> None:
        self.crop, self.number, self.seed = crop, number, seed

    def draw(self, index: int) -> Tensor:
        """Uniform numbers [N, 3]: which stem, where, how loud."""
        return torch.rand(self.number, 3, generator=generator(self.seed, index))

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> Tensor:
        """Crops [B, N, crop] of excerpts [B, …], by what was drawn [B, N, 3]."""
        sources = torch.cat([excerpts.mixture[:, None], excerpts.stems], dim=1)
        sounding = excerpts.stems.abs().amax(dim=-1) > 1e-3
        sounding = sounding & excerpts.has_stems[:, None]
        count = sounding.sum(dim=1, keepdim=True)
        pick, place, level = drawn.unbind(dim=-1)
        # the pick-th of the stems that sound, counted from one
        rank = (pick * count).long() + 1
        reached = sounding.cumsum(dim=1)[:, None] >= rank[..., None]
        stem = reached.int().argmax(dim=-1)
        alone = (torch.arange(self.number, device=drawn.device) % 2 == 1) & (count > 0)
        source = torch.where(alone, stem + 1, 0)
        length = sources.shape[-1]
        latest = max(length - self.crop, 0)
        start = (place * (latest + 1)).long().clamp_max(latest)
        batch = torch.arange(len(sources), device=drawn.device)[:, None]
        first = (batch * sources.shape[1] + source) * length + start
        offsets = torch.arange(min(self.crop, length), device=drawn.device)
        crops = sources.flatten()[first[..., None] + offsets]
        loud = crops.square().mean(dim=-1).sqrt()
        # stems far under their mixture would be a third of all crops and teach little
        gain = 10 ** ((-35 + 21 * level) / 20) / loud.clamp_min(1e-5)
        gain = torch.minimum(gain, 0.99 / crops.abs().amax(dim=-1).clamp_min(1e-6))
        return crops * torch.where(loud > 1e-5, gain, 1)[..., None]
