"""Infill of folders that go wrong: killed at any moment and gone on with, or full of bad files."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Finish = Callable[[Path, int, list[str]], None]

FILES = 10
# The command, over an engine that takes so many recordings at once as it would on a GPU.
GROUPED = (
    "import sys\n"
    "from audiomask.cli import main\n"
    "from audiomask.engine import Engine\n"
    "Engine.infill_group = int(sys.argv.pop(1))\n"
    "main()\n"
)


def fill_folder(folder: Path, files: int, longest: float = 0.06) -> None:
    """Short recordings, in two folders, with one dropout or two of 20 ms to ``longest`` each."""
    rate, seconds = 8000, 0.4
    drawn = np.random.default_rng(7)
    time = np.arange(int(seconds * rate)) / rate
    for number in range(files):
        samples = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * time)
        samples += drawn.normal(0, 0.02, len(time))
        for gap in range(1 + number % 2):
            start = round((0.1 + 0.12 * gap) * rate)
            samples[start : start + round(drawn.uniform(0.02, longest) * rate)] = 0
        path = folder / ("live" if number % 4 == 3 else "") / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, subtype="PCM_24")


def arguments(tiny: Path, method: str) -> list[str]:
    """Infill ``in`` to ``out`` with a report, where a run may have gone before."""
    made = ["infill", "in", "-o", "out", "--model", str(tiny), "--method", method, "--steps", "2"]
    made += [
        "--temperature",
        "1",
        "--report",
        "told.jsonl",
        "--skip-existing",
        "--quiet",
        "--device",
        "cpu",
    ]
    return [*made, "--threads", "1"]


def start(where: Path, group: int, arguments: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", GROUPED, str(group), *arguments]
    return subprocess.Popen(command, cwd=where, stderr=subprocess.DEVNULL)


@pytest.fixture
def finish(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Finish]:
    """``finish(where, group, arguments)``: the same in this process, from there to the end."""
    import torch

    from audiomask.engine import Engine

    def run(where: Path, group: int, arguments: list[str]) -> None:
        monkeypatch.chdir(where)
        monkeypatch.setattr(Engine, "infill_group", group)
        done = call(*arguments)
        assert done.status == 0, done.err

    threads = torch.get_num_threads()
    yield run
    torch.set_num_threads(threads)


def contents(folder: Path) -> dict[str, bytes]:
    """What is in every file below a folder, save those that are being written."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("method", "group", "kills"), [("ar", 1, 2), ("tokens", 4, 1)])
def test_kill_9_and_going_on_is_no_interruption(
    tmp_path: Path, tiny: Path, finish: Finish, method: str, group: int, kills: int
) -> None:
    seed = random.randrange(1 << 30)  # other moments every time; told when it fails
    chance = random.Random(seed)
    for name in ("whole", "parts"):
        fill_folder(tmp_path / name / "in", FILES)
    finish(tmp_path / "whole", group, arguments(tiny, method))
    whole = contents(tmp_path / "whole")
    outputs = {name for name in whole if name.startswith("out")}
    assert len(outputs) == FILES
    parts = tmp_path / "parts"
    killed = done = 0
    for _ in range(kills):
        run = start(parts, group, arguments(tiny, method))
        wanted = done + chance.randint(1, 4)
        while run.poll() is None and done < wanted:
            time.sleep(0.001)
            done = len(outputs & contents(parts).keys())
        time.sleep(chance.random() * 0.02)
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
            killed += 1
        run.wait(timeout=60)
        left = contents(parts)
        done = len(outputs & left.keys())
        for name, content in left.items():
            assert name == "told.jsonl" or content == whole[name], (seed, name)
        for line in left["told.jsonl"].splitlines():
            assert json.loads(line)["method"] == method
    assert killed, seed
    finish(parts, group, arguments(tiny, method))
    assert contents(parts) == whole, seed
    assert not list(parts.rglob(".*")), seed  # what the kills left half-written is gone, too


def test_a_folder_of_100_files(call: Callable[..., Any], tmp_path: Path, tiny: Path) -> None:
    fill_folder(tmp_path / "in", 100, longest=0.03)
    (tmp_path / "in/010.wav").write_text("not audio")
    done = call("infill", "in", "-o", "out", "--model", tiny, "--method", "ar", "--report", "told")
    assert done.status == 1
    assert "(100 of 100, " in done.err
    assert "in/010.wav" in done.err.partition("1 of 100 files failed")[2]
    told = [json.loads(line) for line in Path("told").read_text().splitlines()]
    assert {entry["file"] for entry in told if "error" in entry} == {"in/010.wav"}
    filled = [entry for entry in told if "error" not in entry]
    assert {(entry["kind"], entry["method"]) for entry in filled} == {("silence", "ar")}
    assert all(0.019 < entry["seconds"] < 0.031 for entry in filled)
    assert len(filled) == 150 - 1
    # the tree is mirrored, and the report goes through it in order
    made = {str(path) for path in Path("out").rglob("*.wav")}
    assert made == {entry["output"] for entry in filled}
    assert made == {
        str(Path("out") / path.relative_to("in").with_suffix(".infilled.wav"))
        for path in Path("in").rglob("*.wav")
        if path.name != "010.wav"
    }
    flat, deep = ([n for n in range(100) if (n % 4 == 3) == live] for live in (False, True))
    order = list(dict.fromkeys(entry["file"] for entry in told))
    assert [int(Path(name).stem) for name in order] == flat + deep
