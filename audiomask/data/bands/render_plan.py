"""Plans: songs as numbers, everything that a band will play and nothing of how it sounds yet.

Making a plan is quick and happens in a loader's worker; ``rendering`` turns plans into sound,
in the worker or, many songs at once, on the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.data.effects.params import EffectParams, join_effects

#: samples a note takes to die once it is let go
FADE = 5292


class RenderPlan(NamedTuple):
    """What is played in one excerpt, or in several.

    N notes are played by L lines (a line is one player) in I excerpts (items).

    Attributes:
        start: [N] int64, where each note's samples begin in the bank's.
        line: [N] int64, who plays it; sorted.
        onset: [N] int64, the excerpt's sample at which it begins; negative for one that rings in.
        length: [N] int64, how many samples are heard of it, none beyond the excerpt.
        held: [N] int64, after how many samples it is let go and dies within ``FADE``; at least
            ``length`` if it is not.
        ratio: [N] float64, recorded samples a played one: 2 is an octave up.
        gain: [N] float32, a factor.
        item: [L] int64, the excerpt that a line is in; sorted.
        slot: [L] int64, the stem that it counts as.
        level: [L] float32, its root mean square among the others; negative inverts it.
        effects: what is done to the lines; it says how many channels there are.
        master: [I, 3] float32, how the mixtures are mastered: rows of ``Master``.
        rms_db: [I] float32, the mixture's root mean square, dB of full scale.
    """

    start: Tensor
    line: Tensor
    onset: Tensor
    length: Tensor
    held: Tensor
    ratio: Tensor
    gain: Tensor
    item: Tensor
    slot: Tensor
    level: Tensor
    effects: EffectParams
    master: Tensor
    rms_db: Tensor

    @property
    def items(self) -> int:
        """How many excerpts are planned."""
        return len(self.rms_db)

    @property
    def lines(self) -> int:
        """How many lines there are in all."""
        return len(self.level)


def join(plans: Sequence[RenderPlan]) -> RenderPlan:
    """Several plans as one, in order."""
    joined = {
        name: torch.cat([getattr(plan, name) for plan in plans])
        for name in RenderPlan._fields
        if name != "effects"
    }
    lines, items = 0, 0
    numbers, owners = [], []
    for plan in plans:
        numbers.append(plan.line + lines)
        owners.append(plan.item + items)
        lines, items = lines + plan.lines, items + plan.items
    joined |= {"line": torch.cat(numbers), "item": torch.cat(owners)}
    return RenderPlan(**joined, effects=join_effects([plan.effects for plan in plans]))
