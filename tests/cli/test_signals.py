"""Signals: heard once, raised until they come out, and silent before and after."""

import os
import signal
import sys
import time

import pytest

from audiomask.cli import signals
from audiomask.cli.signals import Listener, quietly

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


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
    with Listener() as listener, pytest.raises(SystemExit) as ending:
        send(signal.SIGTERM)
    assert ending.value.code == 143
    assert listener.number == signal.SIGTERM


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
    monkeypatch.setattr(signals, "_GRACE", 0.05)
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
    monkeypatch.setattr(signals, "_GRACE", 0.05)

    class Losing:
        def __del__(self):
            send(signal.SIGINT)

    with Listener(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        Losing()
        time.sleep(5)
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


def test_what_was_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what ends in &
    with Listener() as listener:
        send(signal.SIGINT)
    assert listener.number is None
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_before_it_listens_ctrl_c_is_the_systems():
    with quietly():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup leaves it
    with quietly():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
