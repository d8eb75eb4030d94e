"""``--jobs`` ends early: on an error or a signal nothing half-written is left."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from audiomask.cli import workers
from audiomask.errors import CheckpointError, DeviceError


@pytest.mark.parametrize("error", [CheckpointError, DeviceError])
def test_what_would_come_back_with_every_file_ends_all(
    invoke, folder, engine, monkeypatch, listing, error
):
    folder(*"abcdef")
    begun = []

    def tokenize(self, source, levels, progress, stereo):
        begun.append(source.name)
        while len(begun) < 3:
            time.sleep(0.01)
        if source.name == "in/a.wav":
            raise error("m: is broken")
        while True:
            progress(0.0)
            time.sleep(0.01)

    monkeypatch.setattr(engine, "tokenize", tokenize)
    done = invoke("tokenize", "in", "-o", "out", "--jobs", 3)
    assert done.status == 1
    assert done.error_line() == "audiomask: error: m: is broken"
    assert len(begun) == 3
    assert [name for name in listing() if name.startswith("out")] == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_leaves_nothing_half_written(
    invoke, folder, engine, monkeypatch, listing, sent
):
    folder(*"abcd", seconds=1.0)
    separate = engine.separate
    under_way = []

    def slow(self, source, *arguments, **options):
        if source.name == "in/a.wav":
            yield from separate(self, source, *arguments, **options)
            return
        for number, block in enumerate(separate(self, source, *arguments, **options)):
            yield block
            if number == 2:
                under_way.append(source.name)
                if len(under_way) == 2:
                    os.kill(os.getpid(), sent)
            while number == 2:  # as if it took forever
                yield {name: part[:, :0] for name, part in block.items()}
                time.sleep(0.01)

    monkeypatch.setattr(engine, "separate", slow)
    usual = signal.getsignal(signal.SIGINT)
    try:
        done = invoke("separate", "in", "-o", "out", "--stem", "bass", "--jobs", 2)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert done.status == 128 + sent
    assert len(under_way) == 2
    assert "Traceback" not in done.err
    assert [name for name in listing() if name.startswith("out")] == ["out/a/bass.wav"]


def test_a_worker_ends_where_it_checks(caplog):
    stop = workers.StopEvent()
    busy, tidied = threading.Event(), threading.Event()
    begun = []

    def work(item):
        begun.append(item)
        if item == "fails":
            busy.wait(timeout=20)
            raise CheckpointError("broken")
        try:
            while True:
                busy.set()
                time.sleep(0.01)
                stop.check()
        finally:
            tidied.set()

    began = time.monotonic()
    with pytest.raises(CheckpointError):
        workers.run_all(["checks", "fails", "waits"], work, 2, [], stop)
    assert tidied.is_set()
    assert sorted(begun) == ["checks", "fails"]
    assert time.monotonic() - began < workers.PATIENCE
    assert caplog.text == ""
    assert not workers.any_left_behind()


def test_a_long_search_for_gaps_ends_with_the_others(invoke, folder, monkeypatch, listing):
    from audiomask.cli.gaps import GapOptions

    folder("a", "b")
    searching = threading.Event()

    def find(self, source, seek):
        if source.name == "in/b.wav":
            searching.wait(timeout=20)
            raise CheckpointError("m: is broken")
        while True:
            searching.set()
            source.read(0, 100)
            time.sleep(0.01)

    monkeypatch.setattr(GapOptions, "find", find)
    done = invoke("infill", "in", "-o", "out", "--jobs", 2)
    assert done.status == 1
    assert done.error_line() == "audiomask: error: m: is broken"
    assert [name for name in listing() if name.startswith("out")] == []


def test_a_worker_that_cannot_be_woken_is_left_behind(monkeypatch, caplog):
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    asleep, release = threading.Event(), threading.Event()

    def work(item):
        if item == "waits for a pipe":
            asleep.set()
            release.wait(timeout=20)
        else:
            asleep.wait(timeout=20)
            raise CheckpointError("broken")

    with pytest.raises(CheckpointError):
        workers.run_all(["waits for a pipe", "fails"], work, 2, [], workers.StopEvent())
    assert workers.any_left_behind()
    assert "1 of the files under way could not be ended in time" in caplog.text
    release.set()
    until = time.monotonic() + 20
    while workers.any_left_behind() and time.monotonic() < until:
        time.sleep(0.01)
    assert not workers.any_left_behind()


@pytest.mark.slow
def test_a_command_does_not_wait_for_a_worker_left_behind(folder, script, tmp_path, monkeypatch):
    """A named pipe that nobody writes to; the other file was done, and nothing half-written is."""
    monkeypatch.chdir(tmp_path)
    folder("a", "c")
    os.mkfifo("in/b.wav")
    words = [script, "infill", "in/a.wav", "in/b.wav", "in/c.wav", "-o", "out", "-q", "--jobs", "2"]
    process = subprocess.Popen(
        [*words, "--gap", "0.1:0.12", "--method", "ar"], cwd=tmp_path, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not Path("out/c.infilled.wav").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 128 + signal.SIGTERM
    assert said == "audiomask: warning: 1 of the files under way could not be ended in time\n"
    assert sorted(os.listdir("out")) == ["a.infilled.wav", "c.infilled.wav"]
