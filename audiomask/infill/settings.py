"""Settings of infill."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from audiomask.errors import UsageError

#: the method of a filling that was made stem by stem
BY_STEM = "stems"
#: why a language model's continuation is of the end alone
FORWARDS_ALONE = "--method lm goes forwards alone: it takes neither --before nor --loop"


class InfillMethod(StrEnum):
    """How a gap is filled: see :class:`InfillSettings`."""

    auto = "auto"
    tokens = "tokens"
    ar = "ar"
    passage = "passage"
    spectrogram = "spectrogram"
    wave = "wave"
    lm = "lm"


def usual_temperature(method: InfillMethod | str) -> float:
    """The temperature where none is asked for: what is written in order has to be drawn."""
    return 1.0 if method in (InfillMethod.wave, InfillMethod.lm) else 0.0


@dataclass(frozen=True)
class InfillSettings:
    """How gaps are filled.

    Attributes:
        method: "ar" for autoregressive interpolation; "passage" for the passage of the recording
            whose surroundings match best; "tokens" for tokens of the masked language model;
            "spectrogram" for magnitudes of the spectrogram model; "wave" for samples that the
            raw-audio model draws; "auto" for "ar" in short gaps, and in long ones a passage where
            one matches, and tokens with autoregressive edges elsewhere; "lm" for tokens of the
            language model, which continues recordings and fills no gaps.
        steps: passes over the first level's tokens, when tokens are sampled.
        temperature: of the sampling. At 0 tokens are not sampled: expected code vectors are taken
            in one pass, nearer to the original than any sample, and smoother. Of "wave" each sample
            is then the likeliest, and the sound dies away.
        candidates: fillings sampled for each gap, of which the best is kept; of passages, how many
            are told.
        choice: which passage is taken: 1 for the best, 2 for the next.
        seed: same seed, same machine, same filling.
        by_stem: whether the surroundings are separated and every stem is filled by itself; not in
            gaps that "ar" fills, nor those that "auto" finds a passage for.
        top_p: the language model draws from the likeliest tokens that have this share of the
            probability together.
        plan: whether the language model plans by semantic tokens; without, its stage acoustic
            continues alone, which is to compare with.

    Raises:
        UsageError: a value out of range.
    """

    method: InfillMethod | str = InfillMethod.auto
    steps: int = 12
    temperature: float = 0.0
    candidates: int = 1
    choice: int = 1
    seed: int = 0
    by_stem: bool = False
    top_p: float = 0.95
    plan: bool = True

    @property
    def seeks_passages(self) -> bool:
        """Whether gaps may be filled with passages."""
        return self.method in (InfillMethod.auto, InfillMethod.passage)

    @property
    def draws_several(self) -> bool:
        """Whether there are several drawn fillings to choose from."""
        return self.candidates > 1 and self.temperature > 0

    def __post_init__(self) -> None:
        if self.method not in tuple(InfillMethod):
            known = ", ".join(InfillMethod)
            raise UsageError(f"no method '{self.method}' (there are: {known})")
        if min(self.steps, self.candidates, self.choice) < 1:
            raise UsageError("a gap takes one step, one candidate and one choice at least")
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"a temperature of {self.temperature:g}: it must be 0 or more")
        if self.by_stem and self.method in (InfillMethod.ar, InfillMethod.wave):
            raise UsageError(
                f"--by-stem is about tokens and passages: --method {self.method} needs no stems"
            )
        if not 0 < self.top_p <= 1:
            raise UsageError(f"a top-p of {self.top_p:g}: it must be more than 0 and at most 1")
