"""Training of the mask U-Net: shares of a mixture's bands that come near to its stems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.spectra import band_weights, centered, frame_spectra
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.masks.losses import active, mask_loss
from audiomask.training.config import TrainConfig
from audiomask.training.task import Task

#: weights of the loss's terms: share of the mixture's amplitude, dB, nats
WEIGHTS = {"amplitude": 1.0, "ratio": 0.1, "entropy": 0.3, "activity": 0.2}


class MasksBatch(NamedTuple):
    """Mixtures and their stems, summed over bands: the loss needs no spectrum.

    Attributes:
        mixture_power: Σ|X|² in every band of every channel [B, C, bands, F].
        channel_cross: Σ Re(L R*) of the mixture's channels [B, bands, F].
        stem_power: Σ|S|² [B, S + 1, C, bands, F], the last for the rest.
        cross_power: Σ Re(S X*) [B, S + 1, C, bands, F].
    """

    mixture_power: Tensor
    channel_cross: Tensor
    stem_power: Tensor
    cross_power: Tensor


class BandSums:
    """Makes batches of excerpts.

    Args:
        config: of the model to be trained.
    """

    def __init__(self, config: MasksConfig) -> None:
        self.config = config
        nyquist = config.sample_rate / 2
        bins = config.stft_size // 2 + 1
        self.weights = band_weights(bins, nyquist, config.bands, nyquist)
        self.bands: dict[torch.device, Bands] = {}

    def draw(self, index: int) -> Tensor:
        """Nothing is drawn."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> MasksBatch:
        """A batch of excerpts [B, …]."""
        # one excerpt after the other: all spectra at once would be large
        sums = [self.sum_up(stems) for stems in excerpts.stems]
        return MasksBatch(*map(torch.stack, zip(*sums, strict=True)))

    def sum_up(self, stems: Tensor) -> MasksBatch:
        """What there is to know of one excerpt, its stems [S + 1, C, T]; without a batch."""
        device = stems.device
        if device not in self.bands:
            self.bands[device] = Bands(self.weights.to(device))
        bands = self.bands[device]
        channels, size, hop = stems.shape[1], self.config.stft_size, self.config.hop_length
        sounding = stems.abs().amax(dim=(1, 2)) > 0
        parts = [
            as_parts(frame_spectra(centered(stem, size, hop), size, hop))
            for stem in stems[sounding]
        ]
        frames = stems.shape[-1] // hop
        empty = stems.new_zeros(channels, bands.number, frames)
        # the transform of a sum is the sum of the transforms
        mixture = torch.stack(parts).sum(dim=0) if parts else None

        def summed(one: Tensor, other: Tensor) -> Tensor:
            return torch.stack([bands.to_bands(a * b).T for a, b in zip(one, other, strict=True)])

        powers, crosses = [], []
        own = iter(parts)
        for sounds in sounding.tolist():
            part = next(own) if sounds else None
            powers.append(empty if part is None else summed(part, part))
            crosses.append(empty if part is None or mixture is None else summed(part, mixture))
        power = empty if mixture is None else summed(mixture, mixture)
        between = empty[0] if mixture is None else summed(mixture[:1], mixture[-1:])[0]
        return MasksBatch(power, between, torch.stack(powers), torch.stack(crosses))


class MasksTask(Task):
    """Share mixtures out to stems."""

    kind = "masks"
    train_config = TrainConfig(steps=20_000, batch_size=8, optimizer="muon", learning_rate=3e-3)
    augmentation = Augmentation(random_mixing=0.8, stem_dropout=0.3, mashup=0.4, incoherent=0.4)

    @classmethod
    def samples(cls, config: Any) -> int:
        """A window of the model."""
        length: int = config.window * config.hop_length
        return length

    @classmethod
    def channels(cls, config: Any) -> int:
        """Those that the model tells apart."""
        number: int = config.audio_channels
        return number

    def batches(self, seed: int) -> BandSums:
        """Powers in bands."""
        return BandSums(self.model.config)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, TransformerLayer))

    def loss(self, batch: MasksBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch."""
        shares, activity = self.model(batch.mixture_power, batch.channel_cross)
        with torch.autocast(shares.device.type, enabled=False):
            sums = (batch.mixture_power, batch.stem_power, batch.cross_power)
            terms = mask_loss(shares, *sums)
            plays = active(batch.mixture_power, batch.stem_power[:, :-1])
            terms["activity"] = F.binary_cross_entropy_with_logits(activity.float(), plays.float())
        loss = torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}
