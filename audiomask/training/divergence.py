"""A guard that ends a run whose loss is not finite or explodes, before bad weights are saved."""

from __future__ import annotations

import math
from pathlib import Path

from audiomask.errors import AudiomaskError

#: mean absolute deviations above its mean from which a loss is out of range
_FAR = 30.0
#: consecutive steps out of range that end the run
PATIENCE = 20
#: weight of a step in the running means; steps until they are used
_MOMENTUM, SETTLED = 0.02, 50


class DivergenceGuard:
    """Follows the loss and the gradient's norm.

    A loss or norm that is not finite ends the run before the step. A loss out of its range ends it
    after ``PATIENCE`` steps; the run saves nothing meanwhile.

    Args:
        out: the run's folder, for messages.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.steps, self.mean, self._deviation = 0, 0.0, 0.0
        self.outside = 0

    @property
    def calm(self) -> bool:
        """Whether the last loss was in range, so that weights may be saved."""
        return self.outside == 0

    def follow(self, loss: float, step: int) -> None:
        """Follow a step's loss.

        Raises:
            AudiomaskError: it is not finite, or has exploded.
        """
        self.number(loss, "loss", step)
        # at least a tenth of the mean, for a loss that has hardly changed for a while
        reach = _FAR * max(self._deviation, 0.1 * abs(self.mean), 1e-8)
        if self.steps >= SETTLED and loss > self.mean + reach:
            self.outside += 1
            if self.outside >= PATIENCE:
                raise AudiomaskError(
                    f"the loss has exploded: {loss:.4g} at step {step}, {PATIENCE} steps after it "
                    f"was about {self.mean:.4g}; {self._advice()}"
                )
            return
        self.outside = 0
        weight = max(_MOMENTUM, 1 / (self.steps + 1))
        self.mean += weight * (loss - self.mean)
        self._deviation += weight * (abs(loss - self.mean) - self._deviation)
        self.steps += 1

    def number(self, value: float, what: str, step: int) -> None:
        """Check that a value is finite.

        Raises:
            AudiomaskError: it is not.
        """
        if not math.isfinite(value):
            raise AudiomaskError(f"the {what} is {value} at step {step}; {self._advice()}")

    def _advice(self) -> str:
        """How to continue the run, as the end of a message."""
        return (
            f"{self.out} holds the last checkpoint before it: "
            "--resume with a lower learning rate (--set learning_rate=…)"
        )
