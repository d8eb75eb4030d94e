"""Plans: songs as numbers, everything that a band will play and nothing of how it sounds yet.

Making a plan is quick and happens in a loader's worker; ``rendering`` turns plans into sound,
in the worker or, many songs at once, on the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.data.effects import EffectParams

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
        effects: what is done to the lines.
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
    effects = {
        name: torch.cat([getattr(plan.effects, name) for plan in plans])
        for name in EffectParams._fields
    }
    lines, items, rooms = 0, 0, 0
    places, numbers, owners = [], [], []
    for plan in plans:
        numbers.append(plan.line + lines)
        owners.append(plan.item + items)
        places.append(plan.effects.room + rooms)
        lines, items = lines + plan.lines, items + plan.items
        rooms += len(plan.effects.reverb)
    joined |= {"line": torch.cat(numbers), "item": torch.cat(owners)}
    effects["room"] = torch.cat(places)
    return RenderPlan(**joined, effects=EffectParams(**effects))
