"""Time limits: the loop stops in time, and the learning rate falls with it."""

import itertools
from pathlib import Path

import pytest
from doubling import Doubling, log, run, terminate
from torch import Tensor

from audiomask.runtime import distributed
from audiomask.training import loop
from audiomask.training.config import TrainConfig


def test_max_time_stops_and_saves(tmp_path: Path) -> None:
    task = Doubling()
    assert run(task, tmp_path, max_time=0.0) == 1
    assert [notes["step"] for notes in task.saved] == [1]
    # it counts the call, not the run
    assert run(Doubling(), tmp_path, max_time=60.0, resume=True) == 8


class Clock:
    """Time that passes by a second a step."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def task(self, stop_at: int = 0) -> Doubling:
        def tick(loss: Tensor) -> None:
            self.now += 1
            if len(task.batches) == stop_at:
                terminate(loss)

        task = Doubling(dict.fromkeys(range(1, 1000), tick))
        return task


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def rates(out: Path) -> list[float]:
    return [entry["learning_rate"] for entry in log(out)]


def test_the_learning_rate_falls_with_the_time(tmp_path: Path, clock: Clock) -> None:
    plan = {"steps": 500, "learning_rate": 1.0, "max_time": 40.0, "total_seconds": 40.0}
    assert run(clock.task(), tmp_path, **plan) == 41
    by_steps = TrainConfig(steps=40, batch_size=1, learning_rate=1.0, warmup=3)
    expected = [by_steps.learning_rate_at(step, step / 40) for step in range(41)]
    assert rates(tmp_path) == pytest.approx(expected)
    assert rates(tmp_path)[-1] == pytest.approx(0.01)
    # no more is to be had without saying so
    again = plan | {"total_seconds": 61.0, "max_time": 20.0, "resume": True}
    assert run(clock.task(), tmp_path, **again) == 62
    assert rates(tmp_path)[41:] == pytest.approx([0.01] * 21)
    again |= {"total_seconds": 124.0, "max_time": 62.0, "replan": True}
    assert run(clock.task(), tmp_path, **again) == 125
    assert rates(tmp_path)[62] == pytest.approx(0.01 + 0.99 / 2)
    assert rates(tmp_path)[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("total", [30.0, 80.0])
def test_a_resumed_run_goes_down_to_its_new_end(tmp_path: Path, clock: Clock, total: float) -> None:
    plan = {"steps": 500, "learning_rate": 1.0, "max_time": 40.0, "total_seconds": 40.0}
    assert run(clock.task(stop_at=20), tmp_path, **plan) == 20
    clock.now += 1000  # between the two nothing passes
    again = plan | {"total_seconds": total, "max_time": total - 20, "resume": True}
    assert run(clock.task(), tmp_path, **again) == total + 1
    found = rates(tmp_path)
    assert found[3:] == sorted(found[3:], reverse=True)
    assert found[20] == pytest.approx(0.01 + 0.99 / 2)
    assert found[-1] == pytest.approx(0.01)
    assert max(a - b for a, b in itertools.pairwise(found[3:])) < 0.2


def test_without_a_limit_it_ends_as_it_was_planned(tmp_path: Path, clock: Clock) -> None:
    plan = {"steps": 500, "total_seconds": 40.0}
    assert run(clock.task(stop_at=20), tmp_path, max_time=40.0, **plan) == 20
    assert run(clock.task(), tmp_path, resume=True, **plan) == 41


def test_all_processes_go_by_the_first_ones_clock(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "from_main_process", lambda share, device: 0.5)
    run(clock.task(stop_at=8), tmp_path, 1000, learning_rate=1.0, total_seconds=1000.0)
    assert rates(tmp_path)[3:] == pytest.approx([0.01 + 0.99 / 2] * 5)
