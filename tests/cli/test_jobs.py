"""``--jobs``: several files at once, and nothing about them is different."""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

TINY = ("--device", "cpu", "--threads", 1, "-q")


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

    def late(self, source, gaps, settings, other=None):
        until = time.monotonic() + 20
        while source.name == "in/a.wav" and time.monotonic() < until:
            if "in/d.wav" in Path("told.jsonl").read_text():  # the last of the others
                break
            time.sleep(0.01)
        yield from infill(self, source, gaps, settings, other)

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
