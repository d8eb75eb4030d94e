"""``--jobs``: several files at once, and nothing about them is different."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.cli import workers
from audiomask.errors import CheckpointError, DeviceError

TINY = ("--device", "cpu", "--threads", 1, "-q")


@pytest.fixture
def folder(wav):
    """``folder("a", "b")``: recordings of those names in the folder ``in``."""

    def fill(*names, seconds=0.25):
        for name in names:
            wav(f"in/{name}.wav", seconds=seconds)

    return fill


@pytest.fixture
def threads():
    """Give back the number of threads that the command computed with."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def contents(place):
    return {str(p.relative_to(place)): p.read_bytes() for p in Path(place).rglob("*.*")}


def dropouts(path, rate, channels):
    """A recording of noisy tones with two gaps, a short one and a long one."""
    frames = int(0.6 * rate)
    samples = np.random.default_rng(rate + channels).normal(0, 0.05, (frames, channels))
    samples += 0.2 * np.sin(np.arange(frames) / rate * 2000)[:, None]
    for start, stop in ((0.1, 0.12), (0.3, 0.4)):
        samples[int(start * rate) : int(stop * rate)] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_24")


# what is written


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("tokenize", ["--stereo", "mid-side"]),
        ("detokenize", ["--subtype", "FLOAT"]),
        ("infill", ["--temperature", "1", "--steps", "2", "--report", "told"]),
        ("separate", ["--residual", "--format", "flac"]),
    ],
)
def test_bytes_are_those_of_one_job(call, threads, tmp_path, tiny, command, options):
    formats = ((8000, 2), (16_000, 1), (22_050, 2), (11_025, 1), (8000, 1))
    for number, (rate, channels) in enumerate(formats):
        dropouts(tmp_path / "in" / f"{number}.wav", rate, channels)
    tiny_options = ("--model", tiny, *TINY)
    if command == "detokenize":
        call("tokenize", "in", "-o", "in", *tiny_options)
    (tmp_path / "in" / "2.wav").write_text("not audio")
    (tmp_path / "in" / "2.tokens.safetensors").write_text("no tokens")
    made = {}
    for jobs in (1, 3):
        done = call(command, "in", "-o", "out", "--jobs", jobs, *options, *tiny_options)
        assert done.status == 1
        assert "1 of 5 files failed" in done.err
        made[jobs] = contents("out")
        if command == "infill":
            made[jobs]["told"] = Path("told").read_bytes()
            Path("told").unlink()
        Path("out").rename(f"out{jobs}")
    assert len(made[1]) >= 4
    assert made[3] == made[1]


def test_the_cores_are_shared_by_what_was_asked_for(invoke, folder, engine, monkeypatch):
    import torch

    folder("a", "b")
    given = []
    begin = engine.__init__

    def init(self, model=None, device="auto", threads=None):
        given.append(threads)
        begin(self, model, device, threads)

    monkeypatch.setattr(engine, "__init__", init)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    for options in ((), ("--jobs", 4), ("--jobs", 20), ("-j", 4, "--threads", 3)):
        assert invoke("tokenize", "in", "-o", "out", "--overwrite", *options).status == 0
    assert given == [None, 2, 1, 3]


# how many at once


@pytest.mark.parametrize(("jobs", "most"), [(1, 1), (2, 2), (9, 5)])
def test_so_many_files_are_open_at_once(invoke, folder, engine, monkeypatch, jobs, most):
    folder(*"abcde")
    meeting = threading.Barrier(most)
    lock = threading.Lock()
    counts = {"open": 0, "most": 0, "met": 0}
    tokenize = engine.tokenize

    def counted(self, *arguments):
        with lock:
            counts["open"] += 1
            counts["most"] = max(counts["open"], counts["most"])
            counts["met"] += 1
            waits = counts["met"] <= most
        if waits:
            meeting.wait(timeout=20)
        made = tokenize(self, *arguments)
        time.sleep(0.01)
        with lock:
            counts["open"] -= 1
        return made

    monkeypatch.setattr(engine, "tokenize", counted)
    done = invoke("tokenize", "in", "-o", "out", "--jobs", jobs)
    assert done.status == 0
    assert counts["most"] == most
    assert len(contents("out")) == 5


def test_standard_input_is_read_where_signals_reach(invoke, folder, engine, monkeypatch, wav):
    folder("a", "b", "c")
    where = {}
    tokenize = engine.tokenize

    def noted(self, source, *arguments):
        where[source.name] = threading.current_thread() is threading.main_thread()
        return tokenize(self, source, *arguments)

    monkeypatch.setattr(engine, "tokenize", noted)
    with wav("song.wav").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert invoke("tokenize", "in", "-", "-o", "out", "-j", 2).status == 0
    assert where == {
        "standard input": True, "in/a.wav": False, "in/b.wav": False, "in/c.wav": False,
    }  # fmt: skip
    assert len(contents("out")) == 4


# in what order


def test_reports_and_tables_keep_the_order_of_the_inputs(invoke, folder, engine, monkeypatch):
    folder(*"abcd")
    for name in "bd":
        Path(f"in/{name}.wav").write_text("not audio")
    infill = engine.infill

    def late(self, source, gaps, settings):
        until = time.monotonic() + 20
        while source.name == "in/a.wav" and time.monotonic() < until:
            if "in/d.wav" in Path("told.jsonl").read_text():  # the last of the others
                break
            time.sleep(0.01)
        yield from infill(self, source, gaps, settings)

    monkeypatch.setattr(engine, "infill", late)
    done = invoke(
        *("infill", "in", "-o", "out", "--gap", "0.1:0.15", "--report", "told.jsonl"),
        *("--jobs", 2, "--verbose"),
    )
    assert done.status == 1
    lines = done.err.splitlines()
    # as they were done
    made = [line.split()[1] for line in lines if " -> " in line]
    assert made == ["in/c.wav", "in/a.wav"]
    assert "(2 of 4, " in next(line for line in lines if " -> " in line)
    # as they were given
    told = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert [entry["file"] for entry in told] == [f"in/{name}.wav" for name in "abcd"]
    failed = done.err.partition("2 of 4 files failed")[2].splitlines()
    assert [line.split()[0] for line in failed[2:4]] == ["in/b.wav", "in/d.wav"]
    gaps = [line for line in lines if " named " in line]
    assert [line.split()[0] for line in gaps] == ["in/a.wav", "in/c.wav"]


# how it ends


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
        workers.run_all(["checks", "fails", "waits"], work, 2, lambda item: False, stop)
    assert tidied.is_set()
    assert sorted(begun) == ["checks", "fails"]
    assert time.monotonic() - began < workers.PATIENCE
    assert caplog.text == ""
    assert not workers.any_left_behind()


def test_a_long_search_for_gaps_ends_with_the_others(invoke, folder, monkeypatch, listing):
    from audiomask.cli.gaps import GapOptions

    folder("a", "b")
    searching = threading.Event()

    def find(self, source):
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
        workers.run_all(
            ["waits for a pipe", "fails"], work, 2, lambda item: False, workers.StopEvent()
        )
    assert workers.any_left_behind()
    assert "1 of the files under way could not be ended in time" in caplog.text
    release.set()
    until = time.monotonic() + 20
    while workers.any_left_behind() and time.monotonic() < until:
        time.sleep(0.01)
    assert not workers.any_left_behind()


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
