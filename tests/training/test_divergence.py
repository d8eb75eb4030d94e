"""DivergenceGuard: what ends a run and what does not."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import AudiomaskError
from audiomask.training.divergence import PATIENCE, SETTLED, DivergenceGuard


def settled(level: float = 2.0, noise: float = 0.1) -> DivergenceGuard:
    watch = DivergenceGuard(Path("run"))
    for step, value in enumerate(np.random.default_rng(0).normal(level, noise, 3 * SETTLED)):
        watch.follow(float(value), step)
    return watch


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_at_once(bad: float) -> None:
    with pytest.raises(AudiomaskError, match=rf"loss is {bad} at step 7; run holds .*--resume"):
        settled().follow(bad, 7)


def test_a_loss_that_stays_far_above_ends() -> None:
    watch = settled()
    for step in range(PATIENCE - 1):
        assert watch.calm == (step == 0)
        watch.follow(90.0, step)
    with pytest.raises(AudiomaskError, match=r"exploded: 90 at step .* about 2\.0") as caught:
        watch.follow(90.0, PATIENCE)
    assert "\n" not in str(caught.value)


def test_spikes_are_passed_over() -> None:
    watch = settled()
    for step in range(200):
        watch.follow(90.0 if step % 5 else 2.0, step)
    assert watch.calm == bool(step % 5 == 0)
    watch.follow(2.0, 200)
    assert watch.calm
    assert watch.mean == pytest.approx(2.0, abs=0.1)  # spikes do not move the range


def test_the_beginning_may_be_wild() -> None:
    watch = DivergenceGuard(Path("run"))
    for step in range(SETTLED):
        watch.follow(10.0 ** (step % 7), step)


@given(st.floats(-50, 50), st.floats(0, 10))
def test_a_loss_may_fall_and_be_negative(level: float, noise: float) -> None:
    watch = DivergenceGuard(Path("run"))
    random = np.random.default_rng(0)
    for step in range(300):
        watch.follow(level - step / 10 + float(random.normal(0, noise)), step)
