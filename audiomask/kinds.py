"""The registry of model kinds: the only file that lists them.

An entry names the parts of a kind by import path, so that this file imports none of them: the
command line reads the registry without torch, and every package may use it without an import that
points upwards. A new kind is one entry here and its own files: a network, a training task, an
evaluator.

A kind may have stages: models that are trained one by one and work together. A stage's checkpoint
has a name of its own, KIND-STAGE, and lies in a folder of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from audiomask.errors import UsageError


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: on the command line, in ``config.json`` and as the name of a checkpoint's folder.
        title: in messages, after "the".
        presets: names of sizes and recipes; the first is the default.
        requires: kinds whose outputs it is trained on. It needs the very checkpoint of each that
            it was trained with.
        stages: the kinds that each of its stages requires, by stage; empty for a kind without. The
            network's ``config.stage`` is the stage.
        learns_from: kinds whose checkpoints it may be trained on, and does not need afterwards.
        build: ``module:function`` that builds the network of a preset and settings, with random
            weights; the network's ``config`` is a dataclass.
        configs: ``module:class`` of the configurations of all presets.
        task: ``module:class`` of the training task, a :class:`audiomask.training.task.Task`.
        evaluator: ``module:class`` of the :class:`audiomask.evaluation.evaluator.Evaluator`.
        check: ``module:function`` of its configuration and those of the checkpoints it requires,
            by kind; raises ConfigError where they do not fit. None if there is nothing to check.
    """

    name: str
    title: str
    build: str
    configs: tuple[str, ...]
    task: str
    evaluator: str
    presets: tuple[str, ...] = ("default",)
    requires: tuple[str, ...] = ()
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    learns_from: tuple[str, ...] = ()
    check: str | None = None

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The names of its checkpoints: its own, or one of each stage."""
        return tuple(f"{self.name}-{stage}" for stage in self.stages) or (self.name,)

    def required_by(self, stage: str | None) -> tuple[str, ...]:
        """The kinds that a stage requires; those that the kind requires where it has no stages."""
        return self.stages[stage] if stage and self.stages else self.requires

    def network(self, preset: str, settings: Mapping[str, Any]) -> Any:
        """The network of a preset with some settings changed, its weights random.

        Raises:
            ConfigError: there is no such preset or setting, or a value is out of range.
        """
        return resolve(self.build)(preset, settings)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="vqvae",
            title="VQ-VAE",
            build="audiomask.networks.vqvae:build_vqvae",
            configs=(
                "audiomask.networks.vqvae.config:VQVAEConfig",
                "audiomask.networks.vqvae.paper:PaperConfig",
            ),
            task="audiomask.training.tasks.vqvae:VQVAETask",
            evaluator="audiomask.evaluation.vqvae:VQVAEEvaluator",
            presets=("default", "one-level", "coarse", "paper"),
        ),
        Kind(
            name="mlm",
            title="masked language model",
            build="audiomask.networks.mlm:build_mlm",
            configs=("audiomask.networks.mlm.config:MLMConfig",),
            task="audiomask.training.tasks.mlm:MLMTask",
            evaluator="audiomask.evaluation.mlm:MLMEvaluator",
            presets=("default", "paper"),
            requires=("vqvae",),
            check="audiomask.networks.mlm:check_required",
        ),
        Kind(
            name="masks",
            title="mask U-Net",
            build="audiomask.networks.masks:build_masks",
            configs=("audiomask.networks.masks.config:MasksConfig",),
            task="audiomask.training.tasks.masks:MasksTask",
            evaluator="audiomask.evaluation.separation:SeparationEvaluator",
        ),
        Kind(
            name="spectrogram",
            title="spectrogram model",
            build="audiomask.networks.spectrogram:build_spectrogram",
            configs=("audiomask.networks.spectrogram.config:SpectrogramConfig",),
            task="audiomask.training.tasks.spectrogram:SpectrogramTask",
            evaluator="audiomask.evaluation.spectrogram:SpectrogramEvaluator",
            presets=(
                "default",
                "frame-transformer",
                "mockingjay",
                "audio-albert",
                "tera",
                "hubert",
            ),
            learns_from=("vqvae",),
        ),
        Kind(
            name="wave",
            title="raw-audio model",
            build="audiomask.networks.wave:build_wave",
            configs=(
                "audiomask.networks.wave.config:WaveConfig",
                "audiomask.networks.wave.config:PaperConfig",
            ),
            task="audiomask.training.tasks.wave:WaveTask",
            evaluator="audiomask.evaluation.wave:WaveEvaluator",
            presets=("default", "paper"),
        ),
        Kind(
            name="lm",
            title="language model",
            build="audiomask.networks.lm:build_lm",
            configs=("audiomask.networks.lm.config:LMConfig",),
            task="audiomask.training.tasks.lm:LMTask",
            evaluator="audiomask.evaluation.lm:LMEvaluator",
            requires=("vqvae", "spectrogram"),
            stages={
                "semantic": ("spectrogram",),
                "coarse": ("vqvae", "spectrogram"),
                "fine": ("vqvae",),
                # coarse without semantic tokens, to be compared with
                "acoustic": ("vqvae",),
            },
            check="audiomask.networks.lm:check_required",
        ),
    )
}


def checkpoints() -> dict[str, tuple[Kind, str | None]]:
    """Kind and stage, if it has one, of every checkpoint, by its name, in the registry's order."""
    return {
        name: (kind, stage)
        for kind in KINDS.values()
        for name, stage in zip(kind.checkpoints, kind.stages or (None,), strict=True)
    }


def kind_of(name: str) -> Kind:
    """The kind with a name.

    Raises:
        UsageError: there is none.
    """
    if name not in KINDS:
        raise UsageError(f"no kind of model '{name}' (there are: {', '.join(KINDS)})")
    return KINDS[name]


def resolve(path: str) -> Any:
    """The object at an import path ``module:name``."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
