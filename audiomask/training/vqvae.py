"""What a training step of a VQ-VAE is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from audiomask.checkpoint import save_checkpoint
from audiomask.training.data.excerpt import Excerpt, generator
from audiomask.vqvae import AnyVQVAE


class VQVAETask:
    """Reconstruct crops of mixtures and stems."""

    def __init__(self, model: AnyVQVAE, preset: str, notes: dict[str, Any]) -> None:
        self.model = model
        self.preset = preset
        self.notes = notes

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Loss of crops [B, N, T]."""
        output = self.model(batch.flatten(0, 1))
        numbers = {name: float(value.detach()) for name, value in output.losses.items()}
        for level, value in enumerate(output.perplexity.tolist(), start=1):
            numbers[f"perplexity_{level}"] = value
        return output.loss, numbers

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Write the VQ-VAE's checkpoint."""
        config = asdict(self.model.config)
        save_checkpoint(folder, "vqvae", self.preset, config, weights, self.notes | notes)


class Crops(Dataset[Tensor]):
    """Crops [N, T] of each excerpt: half from the mixture, half from its stems alone.

    Making an excerpt costs far more than cutting it up, hence several crops of each.
    """

    def __init__(self, excerpts: Dataset[Excerpt], crop: int, number: int, seed: int) -> None:
        self.excerpts, self.crop, self.number, self.seed = excerpts, crop, number, seed

    def __getitem__(self, index: int) -> Tensor:
        excerpt = self.excerpts[index]
        random = generator(self.seed, index)
        crops = []
        sounding = [s for s in excerpt.stems if float(s.abs().max()) > 1e-3]
        if not bool(excerpt.separated):
            sounding = []
        for number in range(self.number):
            audio = excerpt.mixture
            if sounding and number % 2:
                pick = int(torch.randint(len(sounding), (), generator=random))
                audio = sounding[pick]
            latest = max(len(audio) - self.crop, 0)
            start = int(torch.randint(latest + 1, (), generator=random))
            crop = audio[start : start + self.crop]
            loud = float(crop.square().mean().sqrt())
            # stems far under their mixture would be a third of all crops and teach little
            if loud > 1e-5:
                level = float(torch.empty(()).uniform_(-35, -14, generator=random))
                gain = 10 ** (level / 20) / loud
                crop = crop * min(gain, 0.99 / float(crop.abs().max()))
            crops.append(crop)
        return torch.stack(crops)
