"""Signals: heard once, raised until they come out, and silent before and after."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from audiomask.cli import app, signals
from audiomask.cli.inputs import Input
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.cli.signals import Listener, default_interrupts, raise_if_signaled
from audiomask.runtime.termination import termination_signals
from audiomask.training.signals import Stop, leave_signals

ENDING = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
NUMBERS = (*ENDING, signal.SIGALRM)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at Python's start
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # it is heard between two of Python's steps


def test_each_signal_has_its_exception():
    with Listener() as listener, pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    assert listener.number == signal.SIGINT
    assert termination_signals() == ENDING
    for number in ENDING[1:]:
        with Listener() as listener, pytest.raises(SystemExit) as ending:
            send(number)
        assert ending.value.code == 128 + number
        assert listener.number == number


def test_a_second_one_does_not_disturb_the_tidying_up():
    tidied = []
    with Listener(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        try:
            send(signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            tidied.append(True)
    assert tidied


def test_what_is_swallowed_comes_again(monkeypatch):
    monkeypatch.setattr(signals, "GRACE", 0.05)
    swallowed = []
    with Listener(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for _ in range(3):
            try:
                send(signal.SIGINT) if not swallowed else time.sleep(5)
            except BaseException as error:
                swallowed.append(error)
                if len(swallowed) == 3:
                    raise


def test_what_a_finaliser_loses_makes_no_noise(monkeypatch, capfd):
    monkeypatch.setattr(signals, "GRACE", 0.05)

    class Losing:
        def __del__(self):
            send(signal.SIGINT)

    with Listener(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        Losing()
        time.sleep(5)
    assert capfd.readouterr() == ("", "")


class Hit:
    """Hit by Ctrl-C while a class is built, of which Python before 3.12 makes a RuntimeError."""

    def __set_name__(self, owner, name):
        send(signal.SIGINT)


def build_class(*_):
    type("Built", (), {"hit": Hit()})


def test_one_that_became_another_error_ends_a_command_silently(monkeypatch, capfd):
    monkeypatch.setattr(app, "app", lambda **_: build_class())
    with pytest.raises(SystemExit) as ending:
        app.main(["tokenize"])
    assert ending.value.code == 130
    assert capfd.readouterr() == ("", "")


def test_one_that_became_another_error_is_no_failure_of_a_file(tmp_path, capfd):
    jobs = [Job(Input(Path(n), Path(n)), {"": tmp_path / n}) for n in "ab"]
    with Listener(), pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, Common(quiet=True), build_class)
    assert capfd.readouterr() == ("", "")


def test_one_that_was_swallowed_and_left_something_broken_is_none_either(tmp_path, capfd):
    def fail(*_):
        with contextlib.suppress(KeyboardInterrupt):  # as an import that tries several things
            send(signal.SIGINT)
        raise AttributeError("half a module has no such name")

    jobs = [Job(Input(Path(n), Path(n)), {"": tmp_path / n}) for n in "ab"]
    with Listener(), pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, Common(quiet=True), fail)
    assert capfd.readouterr() == ("", "")


def test_without_a_signal_nothing_ends():
    raise_if_signaled()
    with Listener():
        raise_if_signaled()


def test_a_reminder_on_the_way_out_makes_no_noise(monkeypatch, capfd):
    """It comes between the end of the work and that of listening."""
    leave = Listener.__exit__

    def late(self, *error):
        try:
            signal.raise_signal(signal.SIGALRM)
        finally:
            leave(self, *error)

    monkeypatch.setattr(Listener, "__exit__", late)
    monkeypatch.setattr(app, "app", lambda **_: send(signal.SIGTERM))
    with pytest.raises(SystemExit) as ending:
        app.main(["tokenize"])
    assert ending.value.code == 143
    assert capfd.readouterr() == ("", "")


def test_other_losses_are_told(capsys):
    told = []
    before, sys.unraisablehook = sys.unraisablehook, told.append

    class Broken:
        def __del__(self):
            raise ZeroDivisionError

    try:
        with Listener():
            Broken()
    finally:
        sys.unraisablehook = before
    assert [what.exc_type for what in told] == [ZeroDivisionError]


def test_afterwards_nothing_is_left_to_disturb():
    with Listener():
        pass
    assert {signal.getsignal(number) for number in NUMBERS} == {signal.SIG_DFL}
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("number", ENDING)
def test_what_was_ignored_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)  # SIGINT: what a shell starts with &; SIGHUP: nohup
    with Listener() as listener:
        send(number)
        with Stop() as stop:
            send(number)
            assert not stop.asked
        leave_signals(0)
    assert listener.number is None
    assert signal.getsignal(number) == signal.SIG_IGN


def test_sigquit_ends_at_once():
    with Listener():
        assert signal.getsignal(signal.SIGQUIT) == signal.SIG_DFL


def test_before_it_listens_ctrl_c_is_the_systems():
    with default_interrupts():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup leaves it
    with default_interrupts():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
