"""Training of the spectrogram model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from audiomask.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    load_checkpoint,
    load_weights,
    restore,
    save_checkpoint,
)
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt, generator
from audiomask.data.interleave import BatchBuilder, InterleavedDataset
from audiomask.errors import ConfigError
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.config import STEMS
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.continuation import join, middle, separator
from audiomask.networks.spectrogram.features import BandSpectrum, compress, mfcc, reference
from audiomask.networks.spectrogram.losses import cluster_loss, continuation_loss, magnitude_loss
from audiomask.networks.spectrogram.masking import VISIBLE, mask, sample_fates
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.runtime import distributed
from audiomask.training.batches import BatchSource, batch_source, to_device
from audiomask.training.config import TrainConfig
from audiomask.training.run_setup import RunSetup
from audiomask.training.task import Task

#: windows that are cut from an excerpt
_WINDOWS = 2
#: excerpts that clusters are found in
EXAMPLES = 64
#: folder, below the run's, of the checkpoint whose layer is predicted
TEACHER = "teacher"
#: heads and clusters, which a run may have without the checkpoint that it starts from
_HEADS = (
    *("magnitudes.", "clusters.", "continuation.", "adversary."),
    *("target_clusters.", "semantic_clusters."),
)
#: of these, those that are of other clusters when the targets are
_CLUSTERED = ("clusters.", "target_clusters.", "semantic_clusters.")


class SpectrogramBatch(NamedTuple):
    """Masked windows.

    Attributes:
        inputs: what the model gets, [B, F, bands].
        target: the true magnitudes, [B, F, bands].
        hidden: bool [B, F, bands], the parts to predict.
        truth: int64 [B], whether the second half is the continuation of the first: 1 yes, 0 no,
            -1 for windows in one piece.
    """

    inputs: Tensor
    target: Tensor
    hidden: Tensor
    truth: Tensor


class Windows:
    """Makes masked windows of excerpts, and pairs of halves.

    Args:
        config: of the model to be trained.
        seed: with an item's index, decides everything that is random.
    """

    def __init__(self, config: SpectrogramConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self._spectrum = BandSpectrum(config)

    def sample(self, index: int) -> Tensor:
        """The seed of an excerpt's windows."""
        return torch.randint(1 << 32, (), generator=generator(self.seed, index))

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> SpectrogramBatch:
        """``_WINDOWS`` windows of each of the excerpts [B, …], with their seeds ``sampled`` [B]."""
        powers = [self._spectrum(mixture.mean(dim=0)) for mixture in excerpts.mixture]
        made = []
        for number, seed in enumerate(sampled.tolist()):
            draw = torch.Generator().manual_seed(seed)
            other = powers[(number + 1) % len(powers)]
            made += [self.window(powers[number], other, at, draw) for at in range(_WINDOWS)]
        return SpectrogramBatch(*map(torch.stack, zip(*made, strict=True)))

    def window(
        self, power: Tensor, other: Tensor, at: int, draw: torch.Generator
    ) -> SpectrogramBatch:
        """One window, without a batch dimension.

        Args:
            power: of the excerpt, [_WINDOWS * window, bands].
            other: of another song's excerpt; of the same where a batch has only one.
            at: number of the window.
            draw: decides all that is random.
        """
        config, size = self.config, self.config.window
        own = power[at * size : (at + 1) * size]
        pair, false, song, place = torch.rand(4, generator=draw).tolist()
        truth = -1
        if pair < config.continuation_prob:
            half = size // 2
            second = own[half:]
            truth = int(false < 0.5)
            if not truth:
                # elsewhere in the same song is one of the excerpt's other windows
                elsewhere = power.roll(-(at + 1) * size, dims=0)[: (_WINDOWS - 1) * size]
                found = other if song < config.other_song else elsewhere
                start = int(place * (len(found) - half + 1))
                second = found[start : start + half]
            own = join(own[:half], second)
        fates = sample_fates(size, config, draw)
        span = middle(config)
        if truth >= 0:
            fates[span] = VISIBLE
        visible = fates == VISIBLE
        target = compress(own, reference(own, visible.to(own.device)), config.exponent)
        inputs, hidden = mask(target, fates, config, draw)
        if truth >= 0:
            inputs[span] = separator(config).to(inputs.device)
            hidden[span] = False
        return SpectrogramBatch(inputs, target, hidden, torch.tensor(truth, device=own.device))


class SpectrogramTask(Task):
    """Predict what is hidden of windows: magnitudes, clusters, and whether halves belong together.

    Where the clusters are of a layer, they are those of the checkpoint that the run started from,
    of which a copy lies in the run's folder.
    """

    kind = "spectrogram"
    train_config = TrainConfig(steps=20_000, batch_size=4, optimizer="muon", learning_rate=3e-3)
    augmentation = Augmentation(pitch_tempo_prob=0.1, effects_prob=0.1)
    needs_stems = False
    teacher: Any = None

    @classmethod
    def samples(cls, config: Any) -> int:
        """The samples of an excerpt's windows."""
        length: int = _WINDOWS * config.window * config.hop_length
        return length

    @classmethod
    def stems(cls, config: Any, known: Iterable[str]) -> tuple[str, ...]:
        """All stems of the data."""
        return tuple(sorted(known)) or STEMS

    @classmethod
    def load_init(cls, model: Any, init: Checkpoint) -> None:
        """Load a checkpoint's weights; heads that it lacks, or that differ in size, stay random.

        So do the clusters and their head, if they are to be other clusters.
        """
        targets = model.config.targets
        same = targets == init.config.get("targets") and targets != "layer"
        taken = {name: value for name, value in init.tensors.items() if not name.startswith(_HEADS)}
        for name, value in model.state_dict().items():
            if name.startswith(_HEADS):
                found = init.tensors.get(name)
                fits = found is not None and found.shape == value.shape
                kept = fits and (same or not name.startswith(_CLUSTERED))
                taken[name] = found if kept and found is not None else value
        load_weights(model, dataclasses.replace(init, tensors=taken))

    def start(
        self,
        setup: RunSetup,
        init: Checkpoint | None,
        excerpts: InterleavedDataset,
        builder: BatchBuilder,
    ) -> None:
        """Open the checkpoint whose layer is predicted, and find the clusters of a new run.

        Raises:
            ConfigError: the clusters are of a layer, and no checkpoint is named.
            CheckpointError: the copy of that checkpoint cannot be written, or read again.
        """
        config, resume = self.model.config, setup.options.resume
        if config.targets == "layer":
            self._open_teacher(setup, init)
        clusters = self.model.target_clusters
        if clusters is None or clusters.found or resume:
            return
        source = batch_source(excerpts, builder, torch.device("cpu"))
        found = [self.features(target).flatten(0, 1) for target in self._examples(source)]
        clusters.find(torch.cat(found))

    def _examples(self, source: BatchSource) -> Iterator[Tensor]:
        """The first excerpts' windows, true magnitudes [WINDOWS, F, bands]."""
        device = next(self.model.parameters()).device
        for number in range(EXAMPLES):
            batch = to_device(source.collate([source.data[number]]), device)
            yield source.finish(batch).target

    @torch.no_grad()
    def finish(self, folder: Path, source: BatchSource) -> None:
        """Find the semantic clusters of the run's checkpoints, and write them again with these."""
        targets = list(self._examples(source))
        for place in (folder, folder / "best"):
            if not (place / CONFIG_FILE).is_file():
                continue
            found = load_checkpoint(place, self.kind)
            model = cast(SpectrogramModel, restore(found)).to(targets[0].device).eval()
            features = [model.semantic_features(target).flatten(0, 1) for target in targets]
            model.semantic_clusters.find(torch.cat(features))
            save_checkpoint(
                place, self.kind, found.preset, found.config, model.state_dict(), found.notes
            )

    def _open_teacher(self, setup: RunSetup, init: Checkpoint | None) -> None:
        """Copy the checkpoint that a new run starts from into its folder, and open the copy."""
        folder = setup.options.out / TEACHER
        if not setup.options.resume:
            if init is None:
                raise ConfigError(
                    "targets is layer; name the checkpoint whose layer it is with --init"
                )
            with distributed.main_process_first():
                if distributed.rank() == 0:
                    save_checkpoint(folder, self.kind, init.preset, init.config, init.tensors)
        teacher = restore(load_checkpoint(folder, self.kind))
        self.teacher = teacher.to(next(self.model.parameters()).device).eval()

    def batches(self, seed: int) -> Windows:
        """The batch builder."""
        return Windows(self.model.config, seed)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, TransformerLayer))

    @torch.no_grad()
    def features(self, target: Tensor) -> Tensor:
        """What the clusters are of: MFCC or a layer's output, [B, F, D].

        Args:
            target: true magnitudes [B, F, bands].
        """
        if self.teacher is None:
            return mfcc(target)
        hidden: Tensor = self.teacher.hidden(target, self.model.config.target_layer)
        return hidden.float()

    def loss(self, batch: SpectrogramBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch and its terms: those that the configuration gives a weight."""
        model, config = self.model, self.model.config
        hidden = model.hidden(batch.inputs)
        # in most presets a frame is hidden as a whole or not at all
        frames = batch.hidden.all(dim=-1)
        terms: dict[str, Tensor] = {}
        if config.magnitude_weight:
            predicted = model.predict_magnitudes(hidden, batch.inputs)
            everything = torch.ones_like(batch.hidden)
            where = batch.hidden if config.loss_on == "hidden" else everything
            terms["magnitude"] = magnitude_loss(predicted, batch.target, where)
            if model.adversary is not None:
                filled = torch.where(batch.hidden, predicted, batch.target)
                terms["adversary"] = model.adversary(filled, batch.target, frames)
        if config.targets != "none":
            labels = model.target_clusters(self.features(batch.target))
            counted = frames if config.loss_on == "hidden" else torch.ones_like(frames)
            terms["cluster"] = cluster_loss(model.predict_clusters(hidden), labels, counted)
        if config.continuation_prob:
            logits = model.predict_continuation(hidden)
            terms["continuation"] = continuation_loss(logits, batch.truth)
        weighted = [getattr(config, f"{name}_weight") * value for name, value in terms.items()]
        return torch.stack(weighted).sum(), {n: value.detach() for n, value in terms.items()}
