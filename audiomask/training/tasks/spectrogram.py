"""Training of the spectrogram model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from audiomask.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    bundled_folder,
    load_checkpoint,
    load_weights,
    restore,
    save_checkpoint,
)
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Elsewhere
from audiomask.data.interleave import BatchBuilder, InterleavedDataset
from audiomask.errors import ConfigError, UsageError
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.features import mfcc
from audiomask.networks.spectrogram.losses import cluster_loss, continuation_loss, magnitude_loss
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.stems import STEMS
from audiomask.training.batches import BatchSource, batch_source, to_device
from audiomask.training.config import TrainConfig
from audiomask.training.masked_windows import (
    SpectrogramBatch,
    Windows,
    far_frames,
    first_frames,
)
from audiomask.training.run_setup import RunSetup
from audiomask.training.task import Task
from audiomask.training.teacher import open_teacher

#: excerpts that clusters are found in
EXAMPLES = 64
#: heads and clusters, which a run may have without the checkpoint that it starts from
_HEADS = (
    *("magnitudes.", "clusters.", "continuation.", "adversary."),
    *("target_clusters.", "semantic_clusters."),
)
#: of these, those that are of other clusters when the targets are
_CLUSTERED = ("clusters.", "target_clusters.", "semantic_clusters.")


class SpectrogramTask(Task):
    """Predict what is hidden of windows: magnitudes, clusters, and whether halves belong together.

    Where the clusters are of a layer, they are those of the checkpoint that the run started from;
    where they are a VQ-VAE's codes, it is the one named or the bundled one. A copy of either lies
    in the run's folder.
    """

    kind = "spectrogram"
    train_config = TrainConfig(steps=20_000, batch_size=4, optimizer="muon", learning_rate=3e-3)
    augmentation = Augmentation(pitch_tempo_prob=0.1, effects_prob=0.1)
    needs_stems = False
    teacher: Any = None

    @classmethod
    def samples(cls, config: Any) -> int:
        """The samples of an excerpt's windows and, where there is one, of its far passage."""
        far = cls.elsewhere(config)
        length: int = first_frames(config) * config.hop_length
        return length + (0 if far is None else far.samples)

    @classmethod
    def elsewhere(cls, config: Any) -> Elsewhere | None:
        """The far passage, if some pairs have one."""
        if not (config.continuation_prob and config.other_song < 1 and config.far_passage):
            return None
        distance = round(config.far_distance * config.sample_rate)
        return Elsewhere(far_frames(config) * config.hop_length, distance)

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
        """Open the checkpoint whose layer or codes are predicted; find the clusters of a new run.

        Raises:
            ConfigError: the clusters are of a layer, and no checkpoint is named; they are a
                VQ-VAE's codes, and it does not fit.
            UsageError: a VQ-VAE is named that nothing is learned from.
            CheckpointError: the copy of that checkpoint cannot be written, or read again.
        """
        config, resume = self.model.config, setup.options.resume
        device = next(self.model.parameters()).device
        if setup.options.vqvae is not None and config.targets != "vqvae":
            raise UsageError("--vqvae is whose codes are predicted: add --set targets=vqvae")
        if config.targets == "layer":
            if init is None and not resume:
                raise ConfigError(
                    "targets is layer; name the checkpoint whose layer it is with --init"
                )
            self.teacher = open_teacher(setup, init, self.kind, device)
        if config.targets == "vqvae":
            place = setup.options.vqvae or bundled_folder() / "vqvae"
            named = None if resume else load_checkpoint(place, "vqvae")
            vqvae = open_teacher(setup, named, "vqvae", device)
            _check_codes(config, vqvae.config)
            assert isinstance(builder, Windows)
            builder.vqvae = vqvae
        clusters = self.model.target_clusters
        if clusters is None or clusters.found or resume:
            return
        source = batch_source(excerpts, builder, torch.device("cpu"))
        found = [self.features(target).flatten(0, 1) for target in self._examples(source)]
        clusters.find(torch.cat(found))

    def _examples(self, source: BatchSource) -> Iterator[Tensor]:
        """The first excerpts' windows, true magnitudes [N, F, bands], N windows."""
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
            labels = batch.codes
            if model.target_clusters is not None:
                labels = model.target_clusters(self.features(batch.target))
            counted = frames if config.loss_on == "hidden" else torch.ones_like(frames)
            terms["cluster"] = cluster_loss(model.predict_clusters(hidden), labels, counted)
        if config.continuation_prob:
            logits = model.predict_continuation(hidden)
            terms["continuation"] = continuation_loss(logits, batch.truth)
        weighted = [getattr(config, f"{name}_weight") * value for name, value in terms.items()]
        return torch.stack(weighted).sum(), {n: value.detach() for n, value in terms.items()}


def _check_codes(config: SpectrogramConfig, vqvae: Any) -> None:
    """Raise ConfigError where a VQ-VAE's configuration is not one whose codes are predicted."""
    if config.clusters != vqvae.codebook_size:
        raise ConfigError(
            f"clusters is {config.clusters}; the VQ-VAE has {vqvae.codebook_size} codes: "
            f"--set clusters={vqvae.codebook_size}"
        )
    if config.sample_rate != vqvae.sample_rate or config.hop_length % vqvae.hop_length:
        raise ConfigError(
            f"targets is vqvae; its frames of {vqvae.hop_length} samples at {vqvae.sample_rate} Hz "
            f"do not make frames of {config.hop_length} at {config.sample_rate} Hz"
        )
