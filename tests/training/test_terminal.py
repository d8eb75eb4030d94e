"""A run whose terminal is closed saves what it has, or goes on where it was told to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors import safe_open

SETTINGS = "dim=8 heads=2 layers=1 bands=16 band_stft=1024 window=40 log_every=1"


def command(data: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "audiomask", "train", "mlm", "--data", str(data)]
    words += ["--out", str(out), "--batch-size", "1", "--device", "cpu", "--threads", "1"]
    words += ["--save-every", "100000", "--validate-every", "5", *more]
    for setting in SETTINGS.split():
        words += ["--set", setting]
    return words


# A session whose terminal standard error is; nohup's way of ignoring SIGHUP.
SESSION = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def terminal(how: str, words: list[str], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run on a terminal, which is closed once ten steps are done."""
    leader, follower = os.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", SESSION, how, *words], stdin=follower, stdout=follower,
        stderr=follower,
    )  # fmt: skip
    os.close(follower)
    os.set_blocking(leader, False)
    shown = b""
    try:
        while steps(out) < 10:
            assert run.poll() is None, shown.decode()
            time.sleep(0.02)
            try:
                shown += os.read(leader, 65536)
            except BlockingIOError:
                continue
        os.close(leader)
        yield run
    finally:
        run.kill()
        run.wait()


def steps(out: Path) -> int:
    log = out / "log.jsonl"
    if not log.is_file():
        return 0
    return sum(b'"loss"' in line for line in log.read_bytes().splitlines())


def saved_step(out: Path) -> int:
    with safe_open(out / "state.safetensors", "pt") as state:
        place = json.loads(state.metadata()["place"])
    assert isinstance(place["step"], int)
    return place["step"]


@pytest.mark.slow
def test_a_closed_terminal_ends_the_run_after_the_step(bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with terminal("heard", command(bank, out, "--steps", "100000"), out) as run:
        assert run.wait(timeout=120) == 0
    assert saved_step(out) == steps(out) >= 10
    assert not list(out.rglob(".*"))


@pytest.mark.slow
def test_a_run_that_ignores_sighup_goes_on(bank: Path, tmp_path: Path) -> None:
    """Though nothing can be written to its terminal any more."""
    out = tmp_path / "out"
    with terminal("ignored", command(bank, out, "--steps", "40"), out) as run:
        assert run.wait(timeout=200) == 0
    assert saved_step(out) == steps(out) == 40


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU])
def test_what_else_ends_it_saves_as_well(
    bank: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    run = subprocess.Popen(command(bank, out, "--steps", "100000", "--quiet"))
    try:
        while steps(out) < 3:
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(number)
        assert run.wait(timeout=120) == 0
    finally:
        run.kill()
    assert saved_step(out) == steps(out) >= 3
