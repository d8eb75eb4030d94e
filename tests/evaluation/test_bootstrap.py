"""Confidence intervals by the bootstrap."""

import numpy as np
import pytest

from audiomask.evaluation.bootstrap import interval


def test_intervals_are_those_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    lower, upper = interval(values.tolist())
    error = values.std() / 20
    assert lower == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert upper == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


def test_equal_values_leave_no_doubt() -> None:
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert interval([2.0]) == (2.0, 2.0)
