"""The schedule of a run."""

import pytest

from audiomask.training.schedule import Schedule


def test_the_learning_rate_by_hand() -> None:
    plan = Schedule(steps=110, batch_size=1, learning_rate=1.0, warmup=10)
    assert [plan.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert plan.rate(10) == pytest.approx(1.0)
    assert plan.rate(60) == pytest.approx(0.01 + 0.99 / 2)
    assert plan.rate(110) == pytest.approx(0.01)
    assert plan.rate(500) == pytest.approx(0.01)
    falling = [plan.rate(step) for step in range(10, 111)]
    assert falling == sorted(falling, reverse=True)
