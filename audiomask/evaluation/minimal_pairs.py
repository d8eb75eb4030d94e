"""Minimal pairs: a band as it is written, and with one thing wrong that a listener notices.

A model that knows music finds the band as it is written likelier. Both of a pair are rendered from
the same notes, instruments, levels and effects, up to what is wrong:

- note: one note sounds a semitone lower or higher;
- chord: so do the notes of one line that are struck together, three at least;
- beat: the time between two successive strokes is missing, and all that follows comes early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.interleave import InterleavedDataset

#: shortest time that a wrong note sounds, in seconds
_AUDIBLE = 0.2
#: notes of a chord are struck within so many seconds, and are so many at least
_TOGETHER, _CHORD = 0.03, 3
#: seconds of a beat that can be missing
SHORTEST, LONGEST = 0.15, 0.8
#: bands looked at for each pair that is wanted
_TRIES = 20
#: the stem whose notes have no pitch
DRUMS = "drums"


class _Pair(NamedTuple):
    """A band [T] as it is written, and with something wrong."""

    true: Tensor
    false: Tensor


class Span(NamedTuple):
    """Where something may be wrong: samples [first, last), at a rate."""

    first: int
    last: int
    rate: int


def minimal_pairs(
    dataset: InterleavedDataset, kind: str, number: int, first: float, last: float, seed: int
) -> Iterator[_Pair]:
    """Pairs of bands; fewer than asked for where few bands have what can be wrong.

    Args:
        dataset: whose items are bands; ``DRUMS`` is the first of its stems.
        kind: one of ``KINDS``.
        number: of pairs.
        first, last: seconds between which the change is.
        seed: decides what is wrong.
    """
    rate, left = dataset.sample_rate, number
    span = Span(round(first * rate), round(last * rate), rate)
    for index in range(_TRIES * number):
        if not left:
            return
        plan = dataset[index]
        if not isinstance(plan, RenderPlan):
            continue
        wrong = KINDS[kind](plan, span, np.random.default_rng([seed, index]))
        if wrong is not None:
            left -= 1
            yield _Pair(*(dataset.render_item(one).mixture[0].mean(dim=0) for one in (plan, wrong)))


def _wrong_note(plan: RenderPlan, span: Span, rng: np.random.Generator) -> RenderPlan | None:
    """A plan with one note a semitone off; None where none is fit for it."""
    fit = _pitched(plan, span).nonzero()[:, 0]
    return _detuned(plan, fit[int(rng.integers(len(fit)))][None], rng) if len(fit) else None


def _wrong_chord(plan: RenderPlan, span: Span, rng: np.random.Generator) -> RenderPlan | None:
    """A plan with the notes of one chord a semitone off; None where there is none."""
    fit = _pitched(plan, span)
    chords = []
    for number in fit.nonzero()[:, 0].tolist():
        after = plan.onset - plan.onset[number]
        near = (after >= 0) & (after < _TOGETHER * span.rate)
        chord = (fit & near & (plan.line == plan.line[number])).nonzero()[:, 0]
        if len(torch.unique(plan.ratio[chord])) >= _CHORD:
            chords.append(chord)
    return _detuned(plan, chords[int(rng.integers(len(chords)))], rng) if chords else None


def _dropped_beat(plan: RenderPlan, span: Span, rng: np.random.Generator) -> RenderPlan | None:
    """A plan without the time between two successive strokes; None where there are none."""
    inside = (plan.onset >= span.first) & (plan.onset < span.last)
    strokes = torch.unique(plan.onset[inside])
    # strokes that belong together are one
    apart = torch.ones(len(strokes), dtype=torch.bool)
    apart[1:] = strokes.diff() > _TOGETHER * span.rate
    strokes = strokes[apart]
    gaps = strokes.diff()
    fit = ((gaps >= SHORTEST * span.rate) & (gaps <= LONGEST * span.rate)).nonzero()[:, 0]
    if not len(fit):
        return None
    place = fit[int(rng.integers(len(fit)))]
    begin, end = strokes[place], strokes[place + 1]
    kept = (plan.onset < begin) | (plan.onset >= end)
    notes = {
        name: getattr(plan, name)[kept]
        for name in ("start", "line", "onset", "length", "held", "ratio", "gain")
    }
    late = notes["onset"] >= end
    notes["onset"] = torch.where(late, notes["onset"] - (end - begin), notes["onset"])
    return plan._replace(**notes)


KINDS: dict[str, Callable[[RenderPlan, Span, np.random.Generator], RenderPlan | None]] = {
    "note": _wrong_note,
    "chord": _wrong_chord,
    "beat": _dropped_beat,
}


def _pitched(plan: RenderPlan, span: Span) -> Tensor:
    """Which notes have a pitch, begin in the span and can be heard, bool [N]."""
    inside = (plan.onset >= span.first) & (plan.onset < span.last)
    return inside & (plan.slot[plan.line] > 0) & (plan.length >= _AUDIBLE * span.rate)


def _detuned(plan: RenderPlan, notes: Tensor, rng: np.random.Generator) -> RenderPlan:
    """A plan with notes, by their numbers, all a semitone lower or higher."""
    step = 2 ** (float(rng.choice((-1, 1))) / 12)
    ratio, length = plan.ratio.clone(), plan.length.clone()
    ratio[notes] *= step
    if step > 1:
        # a recorded note ends sooner when it is played faster
        length[notes] = (length[notes] / step).long() - 1
    return plan._replace(ratio=ratio, length=length)
