"""Render plans: the notes, levels and effects of excerpts, before they are rendered to audio.

A loader's worker makes plans, which takes little time. ``rendering`` renders them, in the worker or
in batches on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.data.effects.params import EffectParams, join_effects

#: samples of a note's release
RELEASE_SAMPLES = 5292


class RenderPlan(NamedTuple):
    """Plan of I excerpts (items) with L lines and N notes.

    A line is one take of one instrument.

    Attributes:
        start: [N] int64, index of each note's first sample in the bank's.
        line: [N] int64, sorted.
        onset: [N] int64, in samples of the excerpt; negative for notes that ring into it.
        length: [N] int64, samples that are played, none beyond the excerpt.
        held: [N] int64, samples before the release of ``RELEASE_SAMPLES``; at least ``length`` for
            notes without one.
        ratio: [N] float64, recorded samples per played one: 2 is an octave up.
        gain: [N] float32, a factor.
        item: [L] int64, sorted.
        slot: [L] int64, the place of the line's stem.
        level: [L] float32, root mean square before mastering; negative inverts the line.
        effects: on the lines, for C channels.
        master: [I, 3] float32, parameters of mastering: rows of ``Master``.
        rms_db: [I] float32, the mixtures' root mean square, in dB of full scale.
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
        """The number of excerpts."""
        return len(self.rms_db)

    @property
    def lines(self) -> int:
        """The number of lines of all excerpts."""
        return len(self.level)


def join(plans: Sequence[RenderPlan]) -> RenderPlan:
    """Several plans as one, in order."""
    joined = {
        name: torch.cat([getattr(plan, name) for plan in plans])
        for name in RenderPlan._fields
        if name != "effects"
    }
    lines, items = 0, 0
    line_numbers, item_numbers = [], []
    for plan in plans:
        line_numbers.append(plan.line + lines)
        item_numbers.append(plan.item + items)
        lines, items = lines + plan.lines, items + plan.items
    joined |= {"line": torch.cat(line_numbers), "item": torch.cat(item_numbers)}
    return RenderPlan(**joined, effects=join_effects([plan.effects for plan in plans]))
