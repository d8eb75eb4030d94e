"""Signals: the loop stops after the step and saves."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from doubling import Doubling, run, terminate
from torch import Tensor

from audiomask.runtime.termination import termination_signals
from audiomask.training.signals import Stop
from audiomask.training.state import STATE_FILE


def test_a_signal_stops_after_the_step_and_saves(tmp_path: Path) -> None:
    for number in termination_signals():
        task = Doubling({2: lambda loss, n=number: os.kill(os.getpid(), n)})
        assert run(task, tmp_path / str(number)) == 2
        assert [notes["step"] for notes in task.saved] == [2]
        assert len(task.batches) == 2


def test_a_signal_that_comes_twice_is_one_request(tmp_path: Path) -> None:
    """A closed terminal sends SIGHUP twice, ``torchrun`` passes on what the group got already."""

    def tell(loss: Tensor) -> None:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)

    task = Doubling({2: tell})
    assert run(task, tmp_path) == 2
    assert [notes["step"] for notes in task.saved] == [2]


def test_a_later_ctrl_c_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stop, "GRACE", 0.0)

    def tell(loss: Tensor) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(Doubling({2: tell}), tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


def test_a_signal_to_the_whole_group_does_not_kill_the_workers_first(tmp_path: Path) -> None:
    def tell(loss: Tensor) -> None:
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGTERM)
        time.sleep(0.3)

    task = Doubling({2: tell, 6: terminate})
    assert run(task, tmp_path, workers=1) == 6
    assert [notes["step"] for notes in task.saved] == [6]
    assert multiprocessing.active_children() == []
