"""The registry of model kinds: the only file that lists them.

An entry names what belongs to a kind by import path, so that this file imports none of it: the
command line reads the registry before torch is loaded, and every room may ask it without an import
that points upwards. A new kind is one entry here and its own files: a network, a training task, an
evaluator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from audiomask.errors import UsageError


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: on the command line, in ``config.json`` and as the name of a checkpoint's folder.
        title: in messages, after "the".
        presets: of sizes and recipes; the first is the default.
        requires: kinds of which it needs one particular checkpoint each, because it was trained
            on what that one makes.
        build: ``module:function`` that makes the network of a preset and settings, with random
            weights; its ``config`` is a dataclass.
        configs: ``module:class`` of the configurations of all presets.
        task: ``module:class`` of the training task, a :class:`audiomask.training.task.Task`.
        evaluator: ``module:class`` of the :class:`audiomask.evaluation.evaluator.Evaluator`.
        check: ``module:function`` that raises ConfigError where its configuration does not fit
            those of the checkpoints it requires, given by kind; None where shapes tell enough.
    """

    name: str
    title: str
    build: str
    configs: tuple[str, ...]
    task: str
    evaluator: str
    presets: tuple[str, ...] = ("default",)
    requires: tuple[str, ...] = ()
    check: str | None = None

    def network(self, preset: str, settings: Mapping[str, Any]) -> Any:
        """The network of a preset with some settings of its own, its weights random.

        Raises:
            ConfigError: there is no such preset or setting, or a value makes no model.
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
            presets=("default", "one-level", "paper"),
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
    )
}


def kind_of(name: str) -> Kind:
    """The kind of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in KINDS:
        raise UsageError(f"no kind of model '{name}' (there are: {', '.join(KINDS)})")
    return KINDS[name]


def resolve(path: str) -> Any:
    """What ``module:name`` names, imported now."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
