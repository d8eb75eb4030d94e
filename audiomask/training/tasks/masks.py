"""Training of the mask U-Net: shares of a mixture's bands that come near to its stems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from audiomask.audio.spectra import band_weights, stft, to_bands
from audiomask.data.excerpt import Excerpt
from audiomask.networks.layers.band_features import band_features
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.masks.losses import mask_loss
from audiomask.training.config import TrainConfig
from audiomask.training.task import Task

#: weights of the loss's terms: share of the mixture's amplitude, dB
WEIGHTS = {"amplitude": 1.0, "ratio": 0.1}


class MasksBatch(NamedTuple):
    """Mixtures and their stems, summed over bands: the loss needs no spectrum.

    Attributes:
        mixture_power: Σ|X|² in every band [B, bands, F].
        stem_power: Σ|S|² [B, S + 1, bands, F], the last for the rest.
        cross_power: Σ Re(S X*) [B, S + 1, bands, F].
    """

    mixture_power: Tensor
    stem_power: Tensor
    cross_power: Tensor


class BandSums:
    """Makes batches of excerpts.

    Args:
        config: of the model to be trained.
    """

    def __init__(self, config: MasksConfig) -> None:
        self.config = config

    def draw(self, index: int) -> Tensor:
        """Nothing is drawn."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> MasksBatch:
        """A batch of excerpts [B, …]."""
        # one excerpt after the other: all spectra at once would be large
        sums = [
            band_sums(mixture, stems, self.config)
            for mixture, stems in zip(excerpts.mixture, excerpts.stems, strict=True)
        ]
        return MasksBatch(*map(torch.stack, zip(*sums, strict=True)))


class MasksTask(Task):
    """Share mixtures out to stems."""

    kind = "masks"
    train_config = TrainConfig(steps=20_000, batch_size=8, optimizer="muon", learning_rate=3e-3)

    @classmethod
    def samples(cls, config: Any) -> int:
        """A window of the model."""
        length: int = config.window * config.hop_length
        return length

    def batches(self, seed: int) -> BandSums:
        """Powers in bands."""
        return BandSums(self.model.config)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, TransformerLayer))

    def loss(self, batch: MasksBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch."""
        shares = self.model(band_features(batch.mixture_power)).float().softmax(dim=1)
        with torch.autocast(shares.device.type, enabled=False):
            terms = mask_loss(shares, *batch)
        loss = torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}


def band_sums(mixture: Tensor, stems: Tensor, config: MasksConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Powers and cross-powers in bands: see ``MasksBatch``.

    Args:
        mixture: [T].
        stems: [S + 1, T].
        config: of the model.
    """
    nyquist = config.sample_rate / 2
    weights = band_weights(config.stft_size // 2 + 1, nyquist, config.bands, nyquist)
    weights = weights.to(mixture.device)
    x = stft(mixture, config.stft_size, config.hop_length)
    s = stft(stems, config.stft_size, config.hop_length)
    return (
        to_bands(x.real.square() + x.imag.square(), weights),
        to_bands(s.real.square() + s.imag.square(), weights),
        to_bands(s.real * x.real + s.imag * x.imag, weights),
    )
