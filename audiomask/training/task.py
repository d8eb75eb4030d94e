"""The interface of a training task: all that the loop and runs need to know of a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from audiomask.checkpoint import Checkpoint, load_weights, save_checkpoint
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Elsewhere
from audiomask.data.interleave import BatchBuilder, InterleavedDataset
from audiomask.errors import UsageError
from audiomask.kinds import Kind
from audiomask.training.batches import BatchSource
from audiomask.training.config import TrainConfig
from audiomask.training.run_setup import RunSetup
from audiomask.training.token_cache import TokenEncoder


class Required(NamedTuple):
    """A checkpoint that a kind requires.

    Attributes:
        fingerprint: identifies its weights.
        model: restored, in evaluation mode, on the run's device.
    """

    fingerprint: str
    model: Any


class Task(ABC):
    """The training of one kind of model: its batches, loss and checkpoint.

    Args:
        model: to be trained.
        preset: that it was built with.
        notes: entries for the checkpoint's config.json.
        required: the checkpoints that the kind requires, by kind.
    """

    #: name of the kind in ``audiomask.kinds``
    kind: ClassVar[str]
    #: default configuration of a run
    train_config: ClassVar[TrainConfig] = TrainConfig(steps=20_000, batch_size=8)
    #: how excerpts are varied, unless a run's options say otherwise
    augmentation: ClassVar[Augmentation] = Augmentation()
    #: whether it needs data with stems
    needs_stems: ClassVar[bool] = True
    #: other kinds whose checkpoints a run may start from, with what they have in common
    starts_from: ClassVar[tuple[str, ...]] = ()
    #: whether recordings without stems are learned from beside it
    takes_recordings: ClassVar[bool] = False

    def __init__(
        self,
        model: Any,
        preset: str,
        notes: Mapping[str, Any] | None = None,
        required: Mapping[str, Required] | None = None,
    ) -> None:
        self.model, self.preset = model, preset
        self.notes, self.required = dict(notes or {}), dict(required or {})

    @classmethod
    def defaults(cls, required: Mapping[str, Required]) -> dict[str, Any]:
        """Settings of the model that follow from the required checkpoints and may be changed."""
        return {}

    @classmethod
    def fixed(cls, required: Mapping[str, Required]) -> dict[str, Any]:
        """Settings of the model that the required checkpoints decide."""
        return {}

    @classmethod
    def build(
        cls, kind: Kind, preset: str, config: Any, required: Mapping[str, Required]
    ) -> nn.Module:
        """The model of a configuration, its weights random.

        Raises:
            ConfigError: the configuration does not fit the required checkpoints.
        """
        model: nn.Module = kind.network(preset, asdict(config))
        return model

    @classmethod
    @abstractmethod
    def samples(cls, config: Any) -> int:
        """Length in samples of the excerpts that a model of a configuration is trained on."""

    @classmethod
    def elsewhere(cls, config: Any) -> Elsewhere | None:
        """A second passage of the same recording that excerpts end with; None for none."""
        return None

    @classmethod
    def channels(cls, config: Any) -> int:
        """How many channels those excerpts have."""
        return 1

    @classmethod
    def stems(cls, config: Any, known: Iterable[str]) -> tuple[str, ...]:
        """Names of the stems of excerpts; ``known`` are those of the data."""
        return tuple(config.stems)

    def finish(self, folder: Path, source: BatchSource) -> None:
        """Complete the checkpoints of a run when a call ends.

        Args:
            folder: of the run.
            source: of batches to train on.

        Raises:
            AudiomaskError: an item cannot be made, or the folder cannot be written.
        """
        return

    @abstractmethod
    def batches(self, seed: int) -> BatchBuilder:
        """The builder of batches for ``loss`` of excerpts."""

    @classmethod
    def load_init(cls, model: Any, init: Checkpoint) -> str | None:
        """Put the weights of the checkpoint that a run starts from into its model.

        Returns:
            What was taken, in a line, of a checkpoint of another kind.

        Raises:
            CheckpointError: they do not fit.
        """
        load_weights(model, init)
        return None

    def start(
        self,
        setup: RunSetup,
        init: Checkpoint | None,
        excerpts: InterleavedDataset,
        builder: BatchBuilder,
    ) -> None:
        """Complete the model and the task from data, before the first step of a call.

        Args:
            setup: says whether the run is resumed, and its folder.
            init: the checkpoint that a new run starts from, if there is one.
            excerpts: to learn from.
            builder: of their batches.

        Raises:
            AudiomaskError: what is needed is not there.
        """
        return

    def token_encoder(self, seed: int) -> TokenEncoder:
        """How excerpts become tokens that are kept on disk (``--keep-tokens``).

        Args:
            seed: as of ``batches``.

        Raises:
            UsageError: this kind does not support it.
        """
        raise UsageError(f"--keep-tokens is not for 'train {self.kind}'")

    def repeated_blocks(self) -> Iterable[nn.Module]:
        """The model's repeated blocks, which are compiled or sharded one by one."""
        return ()

    def unused_parameters(self) -> Iterable[nn.Parameter]:
        """Parameters that no batch's loss depends on."""
        return ()

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss of a batch, and numbers to log, scalars without gradient."""

    def audio_samples(self, batch: Any) -> dict[str, Tensor]:
        """Audio [T] by name, to hear how well the model does on a batch."""
        return {}

    def save(self, folder: Path, weights: dict[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Write an inference checkpoint with these weights."""
        save_checkpoint(
            folder,
            self.kind,
            self.preset,
            asdict(self.model.config),
            weights,
            self.notes | dict(notes),
            requires={kind: other.fingerprint for kind, other in self.required.items()},
        )
