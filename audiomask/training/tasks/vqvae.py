"""Training of the VQ-VAE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from audiomask.checkpoint import Checkpoint
from audiomask.data.excerpt import Excerpt, generator
from audiomask.data.interleave import BatchBuilder, InterleavedDataset
from audiomask.networks.layers.convnext import ConvNeXtBlock
from audiomask.networks.stems import STEMS
from audiomask.networks.vqvae.model import VQVAE
from audiomask.runtime import distributed
from audiomask.training.batches import batch_source
from audiomask.training.config import TrainConfig
from audiomask.training.run_setup import RunSetup
from audiomask.training.task import Task

#: seconds of an excerpt; number of crops from it; seconds of each crop
EXCERPT_SECONDS, CROPS, _CROP_SECONDS = 3.0, 2, 0.75
#: excerpts whose crops a VQ-VAE is initialized from
EXAMPLES = 128


class VQVAETask(Task):
    """Reconstruct crops of mixtures and stems."""

    kind = "vqvae"
    train_config = TrainConfig(steps=20_000, batch_size=6)
    needs_stems = False
    #: weight of a step in the running usage of codes; share of the mean usage below which a code
    #: is dead
    _USAGE, _DEAD = 0.02, 0.01
    usage: Tensor | None = None

    @classmethod
    def samples(cls, config: Any) -> int:
        """Length of the excerpts that crops are cut from."""
        length: int = round(EXCERPT_SECONDS * config.sample_rate)
        return length

    @classmethod
    def stems(cls, config: Any, known: Iterable[str]) -> tuple[str, ...]:
        """All stems of the data."""
        return tuple(sorted(known)) or STEMS

    def batches(self, seed: int) -> Crops:
        """Crops of excerpts."""
        config = self.model.config
        rate, hop = config.sample_rate, config.hop_length
        return Crops(round(_CROP_SECONDS * rate / hop) * hop, CROPS, seed)

    def start(
        self,
        setup: RunSetup,
        init: Checkpoint | None,
        excerpts: InterleavedDataset,
        builder: BatchBuilder,
    ) -> None:
        """Initialize the default model of a new run from crops."""
        if init is not None or setup.options.resume or not isinstance(self.model, VQVAE):
            return
        source = batch_source(excerpts, builder, torch.device("cpu"))
        found = [source.collate([source.data[number]]) for number in range(EXAMPLES)]
        device = next(self.model.parameters()).device
        self.model.init_from_pca(torch.cat(found).flatten(0, 1).to(device))

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The ConvNeXt blocks."""
        return (part for part in self.model.modules() if isinstance(part, ConvNeXtBlock))

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
        """The number of dead codes of each level, by their recent usage, [levels].

        Args:
            codes: of a batch [B, levels, F].
        """
        size = self.model.config.codebook_size
        counts = torch.stack(
            [torch.bincount(level.flatten(), minlength=size) for level in codes.unbind(dim=1)]
        ).float()
        counts = distributed.all_reduce_sum(counts)
        self.usage = counts if self.usage is None else self.usage.lerp(counts, self._USAGE)
        return (self.usage < self._DEAD * self.usage.mean(dim=1, keepdim=True)).float().sum(dim=1)

    def audio_samples(self, batch: Tensor) -> dict[str, Tensor]:
        """The first crops of a batch [B, N, T], and their reconstructions."""
        crops = batch[:4, 0]
        pairs = zip(crops, self.model.decode(self.model.encode(crops)), strict=True)
        return {
            f"{number}-{name}": audio
            for number, pair in enumerate(pairs, start=1)
            for name, audio in zip(("original", "reconstruction"), pair, strict=True)
        }


class Crops:
    """Crops of excerpts, alternately from the mixture and from single stems.

    Several crops of each excerpt, as an excerpt takes much longer to make than a crop.

    Args:
        crop: length of a crop in samples.
        number: crops of an excerpt, N.
        seed: with an item's index, decides the crops.
    """

    def __init__(self, crop: int, number: int, seed: int) -> None:
        self._crop, self.number, self.seed = crop, number, seed

    def sample(self, index: int) -> Tensor:
        """Uniform random numbers [N, 3]: for stem, position and level."""
        return torch.rand(self.number, 3, generator=generator(self.seed, index))

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> Tensor:
        """Crops [B, N, crop] of excerpts [B, …], by random numbers [B, N, 3]."""
        sources = torch.cat([excerpts.mixture[:, None], excerpts.stems], dim=1)[:, :, 0]
        sounding = excerpts.stems[:, :, 0].abs().amax(dim=-1) > 1e-3
        sounding = sounding & excerpts.has_stems[:, None]
        count = sounding.sum(dim=1, keepdim=True)
        pick, place, level = sampled.unbind(dim=-1)
        # the number, from one, of the chosen stem among those that sound
        rank = (pick * count).long() + 1
        reached = sounding.cumsum(dim=1)[:, None] >= rank[..., None]
        stem = reached.int().argmax(dim=-1)
        alone = (torch.arange(self.number, device=sampled.device) % 2 == 1) & (count > 0)
        source = torch.where(alone, stem + 1, 0)
        length = sources.shape[-1]
        latest = max(length - self._crop, 0)
        start = (place * (latest + 1)).long().clamp_max(latest)
        batch = torch.arange(len(sources), device=sampled.device)[:, None]
        first = (batch * sources.shape[1] + source) * length + start
        offsets = torch.arange(min(self._crop, length), device=sampled.device)
        crops = sources.flatten()[first[..., None] + offsets]
        loud = crops.square().mean(dim=-1).sqrt()
        # a random level, as a third of the stems are too quiet to learn much from
        gain = 10 ** ((-35 + 21 * level) / 20) / loud.clamp_min(1e-5)
        gain = torch.minimum(gain, 0.99 / crops.abs().amax(dim=-1).clamp_min(1e-6))
        return crops * torch.where(loud > 1e-5, gain, 1)[..., None]
