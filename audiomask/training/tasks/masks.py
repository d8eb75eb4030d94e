"""Training of the mask U-Net."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.spectra import band_weights, centered, frame_spectra
from audiomask.checkpoint import Checkpoint, load_weights, restore
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt, generator
from audiomask.data.lossy import MP3_RATES, STRONGEST, through_mp3
from audiomask.errors import CheckpointError
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.masks.losses import active, mask_loss
from audiomask.networks.masks.unet import MaskUNet
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.training.config import TrainConfig
from audiomask.training.task import Task

#: weights of the loss's terms; their units are shares of the mixture's amplitude, dB, nats and nats
WEIGHTS = {"amplitude": 1.0, "ratio": 0.1, "entropy": 0.3, "activity": 0.2}
#: share of low-passed excerpts, and range of their cutoff, as shares of the Nyquist frequency
LOWPASSED, CUTOFFS = 0.2, (0.45, 0.9)
#: share of the others whose mixture goes through MP3
MP3_PROB = 0.15


class MasksBatch(NamedTuple):
    """Powers and cross-spectra of mixtures and stems, summed over bands.

    Attributes:
        mixture_power: Σ|X|² in every band of every channel [B, C, bands, F].
        channel_cross: Σ Re(L R*) of the mixture's channels [B, bands, F].
        stem_power: Σ|S|² [B, S + 1, C, bands, F], the residual last.
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
        seed: with an item's index, decides its cutoff.
    """

    def __init__(self, config: MasksConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        nyquist = config.sample_rate / 2
        bins = config.stft_size // 2 + 1
        self.weights = band_weights(bins, nyquist, config.bands, nyquist)
        self.bands: dict[torch.device, Bands] = {}

    def sample(self, index: int) -> Tensor:
        """What lossy codecs do to an excerpt: its lowpass's cutoff and its compression, [2].

        The cutoff is a share of the Nyquist frequency, 1 for none. The compression is that of
        ``through_mp3``, -1 for none.
        """
        chance, position = torch.rand(2, generator=generator(self.seed, index))
        low, high = CUTOFFS
        cutoff = torch.where(chance < LOWPASSED, low + position * (high - low), 1.0)
        coded = (cutoff == 1) & (chance > 1 - MP3_PROB * (1 - LOWPASSED))
        coded &= self.config.sample_rate in MP3_RATES
        return torch.stack([cutoff, torch.where(coded, position * STRONGEST, -1.0)])

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> MasksBatch:
        """A batch of excerpts [B, …], with what codecs do to them, ``sampled`` [B, 2]."""
        # one at a time, to save memory
        pairs = zip(excerpts.stems, sampled.tolist(), strict=True)
        sums = [self.band_sums(stems, *lossy) for stems, lossy in pairs]
        return MasksBatch(*map(torch.stack, zip(*sums, strict=True)))

    def band_sums(
        self, stems: Tensor, cutoff: float = 1.0, compression: float = -1.0
    ) -> MasksBatch:
        """The sums of one excerpt, without a batch dimension.

        Args:
            stems: [S + 1, C, T].
            cutoff: of the lowpass, as a share of the Nyquist frequency.
            compression: of the mixture by MP3, from 0; below 0 for none. The stems stay as they
                were before, so that masks learn to give these back as well as they can.
        """
        device = stems.device
        if device not in self.bands:
            self.bands[device] = Bands(self.weights.to(device))
        bands = self.bands[device]
        channels, size, hop = stems.shape[1], self.config.stft_size, self.config.hop_length
        audible = stems.abs().amax(dim=(1, 2)) > 0

        def spectrum(audio: Tensor) -> Tensor:
            found = as_parts(frame_spectra(centered(audio, size, hop), size, hop))
            found[..., 2 * round(cutoff * (size // 2 + 1)) :] = 0
            return found

        parts = [spectrum(stem) for stem in stems[audible]]
        frames = stems.shape[-1] // hop
        empty = stems.new_zeros(channels, bands.number, frames)
        # the STFT is linear
        mixture = torch.stack(parts).sum(dim=0) if parts else None
        if compression >= 0 and mixture is not None:
            mixture = spectrum(through_mp3(stems.sum(dim=0), self.config.sample_rate, compression))

        def products(one: Tensor, other: Tensor) -> Tensor:
            return torch.stack([bands.to_bands(a * b).T for a, b in zip(one, other, strict=True)])

        powers, crosses = [], []
        remaining = iter(parts)
        for is_audible in audible.tolist():
            part = next(remaining) if is_audible else None
            powers.append(empty if part is None else products(part, part))
            crosses.append(empty if part is None or mixture is None else products(part, mixture))
        power = empty if mixture is None else products(mixture, mixture)
        channel_cross = empty[0] if mixture is None else products(mixture[:1], mixture[-1:])[0]
        return MasksBatch(power, channel_cross, torch.stack(powers), torch.stack(crosses))


class MasksTask(Task):
    """Training of the mask U-Net."""

    kind = "masks"
    starts_from = ("spectrogram",)
    train_config = TrainConfig(steps=20_000, batch_size=8, optimizer="muon", learning_rate=3e-3)
    augmentation = Augmentation(random_mixing=0.8, stem_dropout=0.3, mashup=0.4, incoherent=0.4)

    @classmethod
    def samples(cls, config: Any) -> int:
        """The samples of a window."""
        length: int = config.window * config.hop_length
        return length

    @classmethod
    def channels(cls, config: Any) -> int:
        """The channels of the model's masks."""
        number: int = config.audio_channels
        return number

    @classmethod
    def load_init(cls, model: Any, init: Checkpoint) -> str | None:
        """Load a checkpoint's weights; of a spectrogram model, those of the transformer's layers.

        Returns:
            Which layers were taken of a spectrogram model.

        Raises:
            CheckpointError: the weights do not fit; nothing of a spectrogram model does.
        """
        if init.kind == cls.kind:
            load_weights(model, init)
            return None
        return _take_layers(model, init)

    def batches(self, seed: int) -> BandSums:
        """The batch builder."""
        return BandSums(self.model.config, seed)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, TransformerLayer))

    def loss(self, batch: MasksBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch and its terms: ``amplitude``, ``ratio`` and ``activity``."""
        shares, activity = self.model(batch.mixture_power, batch.channel_cross)
        with torch.autocast(shares.device.type, enabled=False):
            sums = (batch.mixture_power, batch.stem_power, batch.cross_power)
            terms = mask_loss(shares, *sums)
            plays = active(batch.mixture_power, batch.stem_power[:, :-1])
            terms["activity"] = F.binary_cross_entropy_with_logits(activity.float(), plays.float())
        loss = torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}


def _take_layers(model: MaskUNet, init: Checkpoint) -> str:
    """Start the transformer from a spectrogram model's first layers; returns what was taken.

    Tensors that it lacks, such as convolutions of a preset without them, or that differ in size,
    stay random.

    Raises:
        CheckpointError: it is malformed; its width or heads are others, so that nothing fits.
    """
    config, trained = model.config, cast(SpectrogramModel, restore(init))
    dim, heads = trained.config.dim, trained.config.heads
    # heads of another size have weights of the same shape that mean something else
    if (dim, heads) != (config.dim, config.heads):
        raise CheckpointError(
            f"{init.folder}: nothing of this spectrogram model fits: its layers have a width of "
            f"{dim} and {heads} heads, the mask U-Net's {config.dim} and {config.heads} "
            f"(--set dim={dim} --set heads={heads})"
        )
    number = min(config.layers, trained.config.layers)
    if not number:
        raise CheckpointError(f"{init.folder}: this mask U-Net has no layers to start from it")
    count = 0
    for place in range(number):
        # layers that share their weights are one
        theirs = trained.transformer.layers[place % len(trained.transformer.layers)].state_dict()
        layer = model.transformer.layers[place]
        own = layer.state_dict()
        fits = {n: v for n, v in theirs.items() if n in own and own[n].shape == v.shape}
        layer.load_state_dict(own | fits)
        count += len(fits)
    total = len(model.transformer.state_dict())
    return (
        f"{init.folder}: layers 1 to {number} of {trained.config.layers} start the transformer of "
        f"the mask U-Net ({count} of its {total} tensors); all else is random"
    )
