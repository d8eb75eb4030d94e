"""The schedule of a run."""

import itertools

import pytest

from audiomask.errors import ConfigError
from audiomask.training.config import TrainConfig, plan_time


def test_the_learning_rate_by_hand() -> None:
    plan = TrainConfig(steps=110, batch_size=1, learning_rate=1.0, warmup=10)
    assert [plan.learning_rate_at(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert plan.learning_rate_at(10) == pytest.approx(1.0)
    assert plan.learning_rate_at(60) == pytest.approx(0.01 + 0.99 / 2)
    assert plan.learning_rate_at(110) == pytest.approx(0.01)
    assert plan.learning_rate_at(500) == pytest.approx(0.01)
    falling = [plan.learning_rate_at(step) for step in range(10, 111)]
    assert falling == sorted(falling, reverse=True)


def test_time_and_steps_whichever_is_further() -> None:
    plan = TrainConfig(steps=110, batch_size=1, learning_rate=1.0, warmup=10, total_seconds=60)
    assert plan.learning_rate_at(4, 0.5) == pytest.approx(0.5 * (0.01 + 0.99 / 2))
    assert plan.learning_rate_at(10, 0.5) == pytest.approx(0.01 + 0.99 / 2)
    assert plan.learning_rate_at(60, 0.2) == pytest.approx(0.01 + 0.99 / 2)
    assert plan.learning_rate_at(20, 1.0) == pytest.approx(0.01)
    # nor does it jump where the warm-up ends
    rates = [plan.learning_rate_at(step, 0.4) for step in range(5, 15)]
    assert max(abs(a - b) for a, b in itertools.pairwise(rates)) < 0.11
    with pytest.raises(ConfigError, match="total_seconds is 0"):
        TrainConfig(steps=1, batch_size=1, total_seconds=0)


def shares(plan: TrainConfig, share: float, *moments: float) -> list[float]:
    found = [share]
    for before, now in itertools.pairwise(moments):
        found.append(plan.share_after(found[-1], before, now))
    return found


def test_time_passes_evenly_to_its_end() -> None:
    plan = TrainConfig(steps=100, batch_size=1, total_seconds=60)
    assert shares(plan, 0, 0, 1, 7.5, 30, 60, 61) == pytest.approx([0, 1 / 60, 0.125, 0.5, 1, 1])
    assert shares(TrainConfig(steps=100, batch_size=1), 0, 0, 1, 60) == [0, 0, 0]


@pytest.mark.parametrize("total", [40.0, 90.0, 1000.0])
def test_another_end_is_reached_from_where_the_run_is(total: float) -> None:
    plan = TrainConfig(steps=100, batch_size=1, total_seconds=total)
    middle = 30 + (total - 30) / 2
    assert shares(plan, 0.5, 30, middle, total) == pytest.approx([0.5, 0.75, 1])
    assert shares(plan, 1.0, 30, middle) == [1, 1]


@pytest.mark.parametrize(
    ("of_file", "set_here", "steps", "max_time", "spent", "total"),
    [
        (None, False, None, None, 0, None),
        (None, False, None, 540, 0, 540),
        (None, False, 100, 540, 0, None),  # steps decide, time only stops
        (540, False, None, None, 200, 540),  # gone on with as it was planned
        (540, False, None, 540, 200, 740),  # ends with the new limit
        (540, False, 100, 540, 200, None),
        (3600, True, None, 540, 200, 3600),  # said here and now
    ],
)
def test_what_a_call_ends_with(
    of_file: float | None,
    set_here: bool,
    steps: int | None,
    max_time: float | None,
    spent: float,
    total: float | None,
) -> None:
    plan = TrainConfig(steps=20_000, batch_size=1, total_seconds=of_file)
    assert plan_time(plan, set_here, steps, max_time, spent).total_seconds == total
