"""Schedule: how a run proceeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from audiomask.errors import ConfigError

OPTIMISERS = ("adamw", "muon")


@dataclass(frozen=True)
class Schedule:
    """How a run proceeds.

    Attributes:
        steps: optimiser steps in all; the learning rate falls to a hundredth by a cosine.
        batch_size: items that a process takes at once.
        accumulate: such batches whose gradients make one step.
        optimiser: ``adamw``, or ``muon`` for the matrices of the model's repeated parts.
        learning_rate: the peak.
        warmup: steps until the peak.
        clip: largest gradient norm.
        ema: decay of the averaged weights that are saved for use.
        weight_decay: of matrices.
        only: train the parameters alone whose names begin so, as ``refiner`` of an MLM; the
            others stay as they are.
        save_every: steps between checkpoints.
        validate_every: steps between validations, if there is data for them.
        validate_items: how many items are validated on.
        log_every: steps between lines of the log.
    """

    steps: int
    batch_size: int
    accumulate: int = 1
    optimiser: str = "adamw"
    learning_rate: float = 5e-4
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.999
    weight_decay: float = 0.01
    only: str = ""
    save_every: int = 500
    validate_every: int = 500
    validate_items: int = 32
    log_every: int = 20

    def __post_init__(self) -> None:
        """ConfigError for what is no optimiser."""
        if self.optimiser not in OPTIMISERS:
            known = " or ".join(OPTIMISERS)
            raise ConfigError(f"optimiser is {self.optimiser!r}; it must be {known}")

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then cosine."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
