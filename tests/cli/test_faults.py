"""Commands that are ended at any moment and gone on with, and folders with a bad file among many.

The moments are other ones every time; a failure names the seed that drew them. By hand, with more
rounds and a count of what was injected:
``AUDIOMASK_ROUNDS=300 AUDIOMASK_SEED=7 pytest -s tests/cli/test_faults.py``.
"""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

ROUNDS = int(os.environ.get("AUDIOMASK_ROUNDS", "8"))
SEED = os.environ.get("AUDIOMASK_SEED")
FILES = 5
#: as a person, a batch system, a closed terminal and nobody at all end a command
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# As a shell tells them, or as the system does where nothing had to be tidied up.
STATUSES = {
    signal.SIGKILL: (-9,),
    signal.SIGINT: (130, -signal.SIGINT),
    signal.SIGTERM: (143, -signal.SIGTERM),
    signal.SIGHUP: (129, -signal.SIGHUP),
}
REPORT = ("--report", "out/told.jsonl")
COMMANDS = {
    "tokenize": ("tokenize", "in", "-o", "out"),
    "tokenize at once": ("tokenize", "in", "-o", "out", "--format", "text", "--jobs", "2"),
    "detokenize": ("detokenize", "coded", "-o", "out", "--subtype", "FLOAT"),
    "separate": ("separate", "in", "-o", "out", "--residual"),
    "separate at once": (*("separate", "in", "-o", "out", "--format", "flac"), "--jobs", "2"),
    "infill": ("infill", "in", "-o", "out", "--method", "ar", *REPORT),
}


def fill_folder(folder: Path, files: int, longest: float = 0.06, subtype: str = "PCM_24") -> None:
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
        soundfile.write(path, samples, rate, subtype=subtype)


def add_copied(folder: Path) -> None:
    """Two recordings that are read through a temporary copy."""
    noise = np.random.default_rng(8).uniform(-0.3, 0.3, (3000, 2))
    soundfile.write(folder / "lossy.ogg", noise, 8000)
    soundfile.write(folder / "piped.wav", noise, 8000)
    data = bytearray((folder / "piped.wav").read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 0)  # as a pipe leaves it
    (folder / "piped.wav").write_bytes(data)


def await_files(folder: Path, number: int, seconds: float) -> None:
    """Wait until so many files are there, hidden ones included, but no longer than that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and sum(p.is_file() for p in folder.rglob("*")) < number:
        time.sleep(0.001)


def hidden(where: Path) -> set[Path]:
    """What is being written, or was when the process ended."""
    return {path for path in where.rglob("*") if path.name[0] == "." or path.parent.name == "tmp"}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_ended_at_any_moment(
    tmp_path: Path,
    tiny: Path,
    begin: Callable[..., Any],
    contents: Callable[[Path], dict[str, bytes]],
    name: str,
) -> None:
    seed = int(SEED) if SEED else random.randrange(1 << 30)
    chance = random.Random(seed)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fill_folder(whole / "in", FILES, subtype="FLOAT")  # what a model that knows nothing makes clips
    add_copied(whole / "in")
    common = ("--model", tiny, "--quiet", "--device", "cpu", "--threads", "1")
    if name == "detokenize":
        done = begin(whole, "tokenize", "in", "-o", "coded", *common).wait()
        assert done.status == 0, done.err
    shutil.copytree(whole, parts)
    arguments = (*COMMANDS[name], *common, "--skip-existing")

    began = time.monotonic()
    done = begin(whole, *arguments).wait()
    seconds = time.monotonic() - began
    assert (done.status, done.out, done.err) == (0, b"", "")
    expected = contents(whole / "out")
    told = expected.get("told.jsonl", b"")
    assert len(expected) >= FILES + 2
    assert not hidden(whole)

    injected: Counter[str] = Counter()
    for number in range(ROUNDS):
        drawn = SIGNALS[number % len(SIGNALS)]
        before = hidden(parts)
        run = begin(parts, *arguments)
        await_files(parts / "out", chance.randint(0, len(expected)), 2 * seconds)
        time.sleep(chance.random() * seconds / 10)
        run.send(drawn)
        done = run.wait()
        context = (seed, number, drawn, done)
        assert (done.out, done.err) == (b"", ""), context
        left = contents(parts / "out") if (parts / "out").exists() else {}
        for line in left.pop("told.jsonl", b"").splitlines():
            assert "output" in json.loads(line), context
        assert all(expected[path] == content for path, content in left.items()), context
        if drawn == signal.SIGKILL:
            shutil.rmtree(parts / "tmp")
        else:
            assert hidden(parts) <= before, context
        if done.status == 0:
            injected["too late"] += 1
            assert contents(parts / "out") == expected, context
            assert not hidden(parts), context  # what kills left half-written is gone, too
            shutil.rmtree(parts / "out")
        else:
            injected[drawn.name] += 1
            assert done.status in STATUSES[drawn], context
    done = begin(parts, *arguments).wait()
    assert (done.status, done.err) == (0, ""), seed
    assert contents(parts / "out") == expected, seed
    assert not hidden(parts), seed
    assert told == expected.get("told.jsonl", b"")
    assert contents(parts / "in") == contents(whole / "in"), seed
    print(f"\n{name}: {dict(injected)} in runs of {seconds:.2f} s, seed {seed}")


STARTING = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "print('up', flush=True)\n"
    "from audiomask.cli import main\n"
    "main()\n"
)


@pytest.mark.parametrize("drawn", SIGNALS[1:])
def test_ended_while_it_starts(tmp_path: Path, tiny: Path, drawn: signal.Signals) -> None:
    fill_folder(tmp_path / "in", 1)
    for _ in range(max(1, ROUNDS // 6)):
        run = subprocess.Popen(
            [sys.executable, "-c", STARTING, "tokenize", "in", "--model", tiny, "-q"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        moment = random.random()
        time.sleep(moment)
        run.send_signal(drawn)
        out, err = run.communicate(timeout=240)
        assert (out, err) == (b"", b""), moment
        assert run.returncode in (0, *STATUSES[drawn]), moment
        assert not hidden(tmp_path)
        (tmp_path / "in/000.tokens.safetensors").unlink(missing_ok=True)


@pytest.mark.slow
def test_infill_of_100_files(call: Callable[..., Any], tmp_path: Path, tiny: Path) -> None:
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
