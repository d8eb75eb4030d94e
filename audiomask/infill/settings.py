"""Settings of infill: what may be chosen for every gap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from audiomask.errors import UsageError


class InfillMethod(StrEnum):
    """How a gap is filled: see :class:`InfillSettings`."""

    auto = "auto"
    tokens = "tokens"
    ar = "ar"


@dataclass(frozen=True)
class InfillSettings:
    """How gaps are filled.

    Attributes:
        method: "ar" for autoregressive interpolation, "tokens" for the models, "auto" for the
            first in short gaps, and in long ones the second with the first at the edges.
        steps: passes over the first level's tokens, when tokens are drawn.
        temperature: of the drawing; 0 draws none and takes what is to be expected: in one pass,
            nearer to what was there than any draw, and smoother.
        candidates: fillings drawn for each gap, of which the likeliest is kept.
        seed: same seed, same machine, same filling.

    Raises:
        UsageError: a value that no filling can have.
    """

    method: InfillMethod | str = InfillMethod.auto
    steps: int = 12
    temperature: float = 0.0
    candidates: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.method not in tuple(InfillMethod):
            known = ", ".join(InfillMethod)
            raise UsageError(f"no method '{self.method}' (there are: {known})")
        if self.steps < 1 or self.candidates < 1:
            raise UsageError("a gap takes one step and one candidate at least")
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"a temperature of {self.temperature:g}: it must be 0 or more")
