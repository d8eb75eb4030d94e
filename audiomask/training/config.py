"""TrainConfig: how a run proceeds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from audiomask.errors import ConfigError

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class TrainConfig:
    """How a run proceeds.

    Attributes:
        steps: optimizer steps in all; the learning rate falls to a hundredth by a cosine.
        total_seconds: of the run, over all its resumptions; it ends, and the learning rate has
            fallen, when they or the steps are over, whichever comes first. None: steps alone.
        batch_size: items that a process takes at once.
        accumulate: such batches whose gradients make one step.
        optimizer: ``adamw``, or ``muon`` for the matrices of the model's repeated parts.
        learning_rate: the peak.
        warmup: steps until the peak.
        clip: largest gradient norm.
        ema: decay of the averaged weights that are saved for use.
        weight_decay: of matrices.
        trainable_prefix: train the parameters alone whose names begin so, as
            ``context_layers`` of an MLM; the others stay as they are.
        save_every: steps between checkpoints.
        validate_every: steps between validations, if there is data for them.
        validate_items: how many items are validated on.
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
        """ConfigError for what is no optimizer, or no time."""
        if self.optimizer not in OPTIMIZERS:
            known = " or ".join(OPTIMIZERS)
            raise ConfigError(f"optimizer is {self.optimizer!r}; it must be {known}")
        if self.total_seconds is not None and self.total_seconds <= 0:
            raise ConfigError(f"total_seconds is {self.total_seconds}; it must be more than zero")

    def learning_rate_at(self, step: int, time_share: float = 0.0) -> float:
        """Learning rate of a step: linear warm-up, then cosine.

        Args:
            step: from 0.
            time_share: how much of the run's time is over, 0 … 1; 0 where steps alone decide.
        """
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        step_share = (step - self.warmup) / max(1, self.steps - self.warmup)
        progress = min(1.0, max(0.0, step_share, time_share))
        return warm * self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def share_after(self, share: float, before: float, now: float) -> float:
        """How much of the run's time is over, from what it was a moment before.

        It grows evenly from where it is to 1 at ``total_seconds``: a run that was given more time,
        or less, goes on from the learning rate that it has.

        Args:
            share: at ``before``, 0 … 1.
            before: seconds of the run, over all resumptions.
            now: likewise, later.
        """
        if self.total_seconds is None:
            return 0.0
        left = self.total_seconds - before
        passed = 1.0 if left <= 0 else min(1.0, max(0.0, now - before) / left)
        return share + (1 - share) * passed


def plan_time(
    config: TrainConfig, set_here: bool, steps: int | None, max_time: float | None, spent: float
) -> TrainConfig:
    """The schedule of a call: what it ends with, steps or time.

    Args:
        config: with the ``total_seconds`` of the run so far, or of a run file.
        set_here: whether this call sets ``total_seconds`` itself, which then stays.
        steps: if they are asked for, they alone decide, and ``max_time`` only stops the run.
        max_time: seconds that this call may take, if they are limited: the schedule ends with
            them.
        spent: seconds that the run has taken before.
    """
    if set_here:
        return config
    total = config.total_seconds if max_time is None else spent + max_time
    return dataclasses.replace(config, total_seconds=None if steps is not None else total)
