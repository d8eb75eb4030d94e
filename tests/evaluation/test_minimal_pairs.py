"""Minimal pairs: what is wrong is one thing, at its place, and nothing before it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.evaluation.minimal_pairs import (
    DRUMS,
    KINDS,
    LONGEST,
    SHORTEST,
    Span,
    minimal_pairs,
)

RATE, FIRST, LAST = 44_100, 1.0, 2.0
SPAN = Span(RATE, 2 * RATE, RATE)
Change = Callable[[RenderPlan, Span, np.random.Generator], RenderPlan | None]


@pytest.fixture
def bands(bank: Path) -> InterleavedDataset:
    return open_data([recognize(bank).as_test(None)], (DRUMS,), 3 * RATE, 0, split="test")


def changed(bands: InterleavedDataset, kind: str) -> tuple[RenderPlan, RenderPlan]:
    """The first band that something can be wrong with, before and after."""
    for index in range(50):
        plan = bands[index]
        assert isinstance(plan, RenderPlan)
        wrong = KINDS[kind](plan, SPAN, np.random.default_rng(index))
        if wrong is not None:
            return plan, wrong
    raise AssertionError("no band is fit")


@pytest.mark.parametrize(("kind", "least"), [("note", 1), ("chord", 3)])
def test_notes_are_a_semitone_off(bands: InterleavedDataset, kind: str, least: int) -> None:
    plan, wrong = changed(bands, kind)
    off = (wrong.ratio != plan.ratio).nonzero()[:, 0]
    assert len(off) == 1 if kind == "note" else len(off) >= least
    steps = 12 * (wrong.ratio[off] / plan.ratio[off]).log2()
    assert torch.allclose(steps.abs(), torch.ones(len(off), dtype=torch.float64))
    assert len(steps.round().unique()) == 1
    assert ((plan.onset[off] >= SPAN.first) & (plan.onset[off] < SPAN.last)).all()
    assert (plan.slot[plan.line[off]] > 0).all(), "drums have no pitch"
    assert len(plan.line[off].unique()) == 1
    # no more of a recording is read than before
    assert (wrong.length * wrong.ratio <= plan.length * plan.ratio).all()
    for name in ("start", "line", "onset", "gain", "held"):
        assert torch.equal(getattr(plan, name), getattr(wrong, name))


def test_a_beat_is_missing_and_what_follows_comes_early(bands: InterleavedDataset) -> None:
    plan, wrong = changed(bands, "beat")
    before = plan.onset < SPAN.first
    assert torch.equal(wrong.onset[wrong.onset < SPAN.first], plan.onset[before])
    assert len(wrong.onset) < len(plan.onset)
    early = {int(late) - int(onset) for late in plan.onset for onset in wrong.onset}
    beats = [beat for beat in early if SHORTEST * RATE <= beat <= LONGEST * RATE]
    later = set(wrong.onset[wrong.onset >= SPAN.last].tolist())
    fit = [beat for beat in beats if later <= set((plan.onset - beat).tolist())]
    assert fit, "all that follows comes early by the same time"


@pytest.mark.parametrize("kind", KINDS)
def test_both_of_a_pair_are_alike_before(bands: InterleavedDataset, kind: str) -> None:
    pairs = list(minimal_pairs(bands, kind, 2, FIRST, LAST, seed=0))
    again = list(minimal_pairs(bands, kind, 2, FIRST, LAST, seed=0))
    assert len(pairs) == 2
    for (true, false), same in zip(pairs, again, strict=True):
        assert torch.equal(true, same.true)
        assert torch.equal(false, same.false)
        assert true.shape == false.shape == (3 * RATE,)
        quarter = RATE // 4
        start = slice(quarter, 3 * quarter)
        # one gain is of the whole: levels may differ a little
        scale = float((true[start] * false[start]).sum() / false[start].square().sum())
        assert abs(20 * np.log10(scale)) < 3
        alike = float((true[start] - scale * false[start]).abs().max())
        other = float((true[-3 * quarter :] - scale * false[-3 * quarter :]).abs().max())
        assert alike < 0.05 * float(true[start].abs().max())
        assert alike < other or kind != "beat"
        assert not torch.allclose(true, false)


def test_bands_without_what_can_be_wrong_give_no_pairs(bands: InterleavedDataset) -> None:
    assert list(minimal_pairs(bands, "note", 2, 2.999, 2.9991, seed=0)) == []
