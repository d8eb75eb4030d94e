"""Configuration of a training run: what is computed (TrainConfig), where and how (Run)."""

from __future__ import annotations

import dataclasses
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from audiomask.errors import ConfigError

_OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of a training run.

    Attributes:
        steps: optimizer steps in all; the learning rate falls to a hundredth along a cosine.
        batch_size: items of a batch in each process.
        total_seconds: of the run, with all its resumptions. The run ends, and the learning rate
            has fallen, after these or ``steps``, whichever comes first. None: after ``steps``.
        accumulate: batches whose gradients are summed up in one step.
        optimizer: ``adamw``, or ``muon`` for the matrices of the model's repeated blocks.
        learning_rate: the peak.
        warmup: steps until the peak.
        clip: largest gradient norm.
        ema: decay of the averaged weights that are saved for use.
        weight_decay: of matrices.
        trainable_prefix: train only the parameters whose names begin so, such as
            ``context_layers`` of an MLM; the others are frozen.
        save_every: steps between checkpoints.
        validate_every: steps between validations, if there is validation data.
        validate_items: items of a validation.
        log_every: steps between lines of the log.
    """

    steps: int
    batch_size: int
    total_seconds: float | None = None
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 5e-4
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.999
    weight_decay: float = 0.01
    trainable_prefix: str = ""
    save_every: int = 500
    validate_every: int = 500
    validate_items: int = 32
    log_every: int = 20

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown optimizer or a time that is not positive."""
        if self.optimizer not in _OPTIMIZERS:
            known = " or ".join(_OPTIMIZERS)
            raise ConfigError(f"optimizer is {self.optimizer!r}; it must be {known}")
        if self.total_seconds is not None and self.total_seconds <= 0:
            raise ConfigError(f"total_seconds is {self.total_seconds}; it must be more than zero")

    def learning_rate_at(self, step: int, time_share: float = 0.0) -> float:
        """Learning rate of a step: linear warm-up, then cosine.

        Args:
            step: from 0.
            time_share: the part of ``total_seconds`` that has passed, 0 … 1; 0 without a limit.
        """
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        step_share = (step - self.warmup) / max(1, self.steps - self.warmup)
        progress = min(1.0, max(0.0, step_share, time_share))
        return warm * self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def share_after(self, share: float, before: float, now: float) -> float:
        """The part of the run's time that has passed, computed from its earlier value.

        It grows linearly from its present value to 1 at ``total_seconds``. So a run whose
        ``total_seconds`` was changed continues from its present learning rate.

        Args:
            share: the value at ``before``, 0 … 1.
            before: seconds of the run, with all resumptions.
            now: the same, later.
        """
        if self.total_seconds is None:
            return 0.0
        left = self.total_seconds - before
        passed = 1.0 if left <= 0 else min(1.0, max(0.0, now - before) / left)
        return share + (1 - share) * passed


@dataclass(frozen=True)
class Run:
    """Where and how a run is computed; ``TrainConfig`` says what is computed.

    Attributes:
        device: this process's.
        precision: of matrix products: ``fp32``, ``bf16`` or ``fp16``.
        workers: processes that load data, for each process that trains.
        seed: of the random numbers drawn in steps.
        max_time: seconds after which the run is saved and ends.
        resume: continue the run in the folder.
        replan: compute the learning rate as if ``total_seconds`` had been the same from the
            beginning of the run; otherwise it continues from its present value.
        quiet: print nothing.
        compile: compile the model's blocks.
        shard: spread weights and moments over the processes (FSDP).
        tensorboard: write TensorBoard's files as well.
    """

    device: torch.device
    precision: str = "fp32"
    workers: int = 0
    seed: int = 0
    max_time: float | None = None
    resume: bool = False
    replan: bool = False
    quiet: bool = False
    compile: bool = False
    shard: bool = False
    tensorboard: bool = False

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of forward passes in this precision."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        if self.precision not in kinds:
            return nullcontext()
        return torch.autocast(self.device.type, kinds[self.precision])


def plan_time(
    config: TrainConfig, set_here: bool, steps: int | None, max_time: float | None, spent: float
) -> TrainConfig:
    """The configuration with the ``total_seconds`` that the learning rate falls over, if any.

    Args:
        config: with the ``total_seconds`` of the run so far, or of a run file.
        set_here: whether this call sets ``total_seconds`` itself, which is then kept.
        steps: if given, the learning rate falls over steps, and ``max_time`` only stops the run.
        max_time: seconds of this call, if limited: the learning rate falls until then.
        spent: seconds of the run before this call.
    """
    if set_here:
        return config
    total = config.total_seconds if max_time is None else spent + max_time
    return dataclasses.replace(config, total_seconds=None if steps is not None else total)
