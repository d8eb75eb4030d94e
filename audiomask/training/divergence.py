"""A guard that ends a run whose loss is no number or explodes, before the weights are spoilt."""

from __future__ import annotations

import math
from pathlib import Path

from audiomask.errors import AudiomaskError

#: how far above its mean, in mean deviations, a loss is out of range
FAR = 30.0
#: steps in a row out of range that are an explosion
PATIENCE = 20
#: weight of a step in the running means, and steps until they count
MOMENTUM, SETTLED = 0.02, 50


class DivergenceGuard:
    """Follows the loss and the gradient's norm.

    A loss or norm that is no number ends the run at once: nothing may be learned from it. A loss
    far out of its range ends it when it stays there; nothing is saved meanwhile.

    Args:
        out: the run's folder, for messages.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.steps, self.mean, self.deviation = 0, 0.0, 0.0
        self.outside = 0

    @property
    def calm(self) -> bool:
        """Whether the last step was in range, so that its weights may be saved."""
        return self.outside == 0

    def follow(self, loss: float, step: int) -> None:
        """Look at a step's loss.

        Raises:
            AudiomaskError: it has exploded.
        """
        self.number(loss, "loss", step)
        # a tenth of the mean, so that a loss that has stopped moving may still twitch
        reach = FAR * max(self.deviation, 0.1 * abs(self.mean), 1e-8)
        if self.steps >= SETTLED and loss > self.mean + reach:
            self.outside += 1
            if self.outside >= PATIENCE:
                raise AudiomaskError(
                    f"the loss has exploded: {loss:.4g} at step {step}, {PATIENCE} steps after it "
                    f"was about {self.mean:.4g}; {self.advice()}"
                )
            return
        self.outside = 0
        weight = max(MOMENTUM, 1 / (self.steps + 1))
        self.mean += weight * (loss - self.mean)
        self.deviation += weight * (abs(loss - self.mean) - self.deviation)
        self.steps += 1

    def number(self, value: float, what: str, step: int) -> None:
        """Insist on a finite value.

        Raises:
            AudiomaskError: it is none.
        """
        if not math.isfinite(value):
            raise AudiomaskError(f"the {what} is {value} at step {step}; {self.advice()}")

    def advice(self) -> str:
        """What to do about it."""
        return (
            f"{self.out} holds the last checkpoint before it: "
            "--resume with a lower learning rate (--set learning_rate=…)"
        )
