"""Training of the mask U-Net."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.checkpoint import Checkpoint, load_weights, restore
from audiomask.data.augmentation import Augmentation
from audiomask.data.interleave import BatchBuilder, InterleavedDataset
from audiomask.errors import CheckpointError, UsageError
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.losses import active, mask_loss
from audiomask.networks.masks.remixing import Remix, own_sums, remix, remix_loss, shuffle
from audiomask.networks.masks.unet import MaskUNet
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.training.band_sums import BandSums, MasksBatch
from audiomask.training.config import TrainConfig
from audiomask.training.run_setup import RunSetup
from audiomask.training.task import Task
from audiomask.training.teacher import open_teacher

#: weights of the terms, whose units are shares of the mixture's amplitude, dB, nats and nats,
#: and of recordings without stems the first two of these
WEIGHTS = {"amplitude": 1.0, "ratio": 0.1, "entropy": 0.3, "activity": 0.2, "remix": 1.0}


class MasksTask(Task):
    """Training of the mask U-Net.

    Attributes:
        teacher: separates recordings without stems, if there are any.
    """

    kind = "masks"
    takes_recordings = True
    teacher: MaskUNet | None = None
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

    def start(
        self,
        setup: RunSetup,
        init: Checkpoint | None,
        excerpts: InterleavedDataset,
        builder: BatchBuilder,
    ) -> None:
        """Open the teacher, where there are recordings without stems: the one that a run begins as.

        Raises:
            UsageError: there are, and the run begins with random masks.
            CheckpointError: the teacher's copy cannot be written, or read again.
        """
        splits = ("train", "validation")
        found = [s for s in setup.sources if any(s.has_excerpts(split) for split in splits)]
        unknown = [source for source in found if source.knows_stems and not source.stems]
        if not unknown:
            return
        if not setup.options.resume and (init is None or init.kind != self.kind):
            raise UsageError(
                f"{unknown[0].where}: recordings without stems are learned from with the help of "
                "masks that know some already: name them with --init"
            )
        device = next(self.model.parameters()).device
        self.teacher = open_teacher(setup, init, self.kind, device)

    def batches(self, seed: int) -> BandSums:
        """The batch builder."""
        return BandSums(self.model.config, seed)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, TransformerLayer))

    def loss(self, batch: MasksBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch and its terms: those of stems, and ``remix`` of recordings without.

        Both go through the model together, so that all processes run it equally often: their
        normalizations wait for each other.
        """
        sums, gram = batch
        power, cross, made = sums.mixture_power, sums.channel_cross, None
        if len(gram):
            made = self._shuffled(gram)
            power, cross = torch.cat([power, made.power]), torch.cat([cross, made.cross])
        shares, activity = self.model(power, cross)
        known = len(sums.mixture_power)
        terms: dict[str, Tensor] = {}
        with torch.autocast(shares.device.type, enabled=False):
            if known:
                told = (sums.mixture_power, sums.stem_power, sums.cross_power)
                terms = mask_loss(shares[:known], *told)
                plays = active(sums.mixture_power, sums.stem_power[:, :-1])
                terms["activity"] = F.binary_cross_entropy_with_logits(
                    activity[:known].float(), plays.float()
                )
            if made is not None:
                # every step has a gradient of every parameter
                unused = 0 * activity.float().mean()
                terms["remix"] = remix_loss(shares[known:], made, gram) + unused
        loss = torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def _shuffled(self, gram: Tensor) -> Remix:
        """New mixtures of the teacher's stems of recordings."""
        assert self.teacher is not None
        power, cross = own_sums(gram)
        shares, activity = self.teacher(power, cross)
        offsets = len(gram) * torch.rand(len(self.model.config.stems) + 1, device=gram.device)
        return remix(shares, gram, shuffle(activity, offsets.long()))


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
