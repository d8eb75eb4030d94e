"""CombinedOptimizer runs with ``--skip-existing`` on one tree at once: they share the files out."""

import json
import os
import re
import signal
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

from audiomask.audio import atomic
from audiomask.audio.atomic import AtomicFile, claim_outputs

FILES = 12
# Loads everything once, then runs one command in several processes at once. Each file takes a
# while, so that all of them are at work.
TOGETHER = """
import os, signal, sys, time
from audiomask.cli import main
from audiomask import engine
from audiomask.audio import files, writer
from audiomask.infill import splice
from audiomask.tokens import store
opened, loaded = files.AudioFile.__enter__, store.load_tokens
def open_slowly(self):
    time.sleep(0.05)
    return opened(self)
files.AudioFile.__enter__ = open_slowly
import audiomask.tokens
def load_slowly(path):
    time.sleep(0.05)
    return loaded(path)
audiomask.tokens.load_tokens = load_slowly
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        log = os.open(f"err{number}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 2)
        main(sys.argv[2:])
    print(child, flush=True)
for _ in range(int(sys.argv[1])):
    child, status = os.wait()
    print(child, os.waitstatus_to_exitcode(status), flush=True)
"""
COMMANDS = {
    "tokenize": ("tokenize", "in", "-o", "out"),
    "detokenize": ("detokenize", "coded", "-o", "out"),
    "separate": ("separate", "in", "-o", "out", "--residual"),
    "infill": ("infill", "in", "-o", "out", "--method", "ar", "--report", "out/told.jsonl"),
}


def recordings(folder: Path) -> None:
    """Short recordings in two folders, some with two gaps."""
    drawn = np.random.default_rng(7)
    moments = np.arange(2400) / 8000
    for number in range(FILES):
        samples = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * moments)
        samples += drawn.normal(0, 0.02, len(moments))
        for start in (800, 1600)[: 1 + number % 2]:
            samples[start : start + 200] = 0
        path = folder / ("live" if number % 3 == 2 else "") / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 8000)


def run_together(
    where: Path, processes: int, arguments: tuple[Any, ...], kill_at: int | None = None
) -> tuple[list[int], list[str]]:
    """Statuses, and what was said, of so many processes; one is killed at so many outputs."""
    words = [sys.executable, "-c", TOGETHER, str(processes), *map(str, arguments)]
    run = subprocess.Popen(words, cwd=where, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pids = [int(run.stdout.readline()) for _ in range(processes)]
    while kill_at is not None and run.poll() is None:
        if len(visible(where / "out")) >= kill_at:
            os.kill(pids[0], signal.SIGKILL)
            break
        time.sleep(0.002)
    told = run.communicate(timeout=240)[0].split()
    statuses = dict(zip(map(int, told[::2]), map(int, told[1::2]), strict=True))
    errors = [(where / f"err{number}.log").read_text() for number in range(processes)]
    return [statuses[pid] for pid in pids], errors


def visible(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and p.name[0] != "."]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "processes", "killed"),
    [
        ("tokenize", 2, False), ("tokenize", 4, True), ("detokenize", 2, True),
        ("separate", 2, False), ("separate", 4, True), ("infill", 2, True), ("infill", 4, False),
    ],
)  # fmt: skip
def test_each_file_is_done_once(
    tmp_path: Path,
    tiny: Path,
    begin: Callable[..., Any],
    contents: Callable[[Path], dict[str, bytes]],
    name: str,
    processes: int,
    killed: bool,
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    common = ("--model", tiny, "--device", "cpu", "--threads", "1")
    for where in (alone, together):
        recordings(where / "in")
        if name == "detokenize":
            assert begin(where, "tokenize", "in", "-o", "coded", *common).wait().status == 0
    arguments = (*COMMANDS[name], *common, "--skip-existing", "--verbose")
    assert begin(alone, *arguments).wait().status == 0
    expected = contents(alone / "out")

    statuses, told = run_together(together, processes, arguments, 3 if killed else None)
    assert statuses[killed:] == [0] * (processes - killed), told
    assert statuses[0] == (-signal.SIGKILL if killed else 0), told
    made = contents(together / "out")
    assert made.keys() == expected.keys()
    assert made == expected
    assert not list((together / "out").rglob(".*"))
    # each by one run, and every stem of a song by the same one
    done = [re.findall(r"^audiomask: (\S+) -> (.*) \(\d+ of", text, re.MULTILINE) for text in told]
    counts = Counter(file for lines in done for file, _ in lines)
    assert set(counts.values()) == {1}
    assert FILES - killed <= counts.total() <= FILES
    assert all(lines for lines in done[killed:]), "one run did everything"
    if name == "separate":
        # what was killed may have left a song with some of its stems
        parts = [outputs.count(", ") < 2 for lines in done for _, outputs in lines]
        assert sum(parts) <= killed
    for text, lines in zip(told[killed:], done[killed:], strict=True):
        last = text.splitlines()[-1]
        parts = {kind: int(n) for n, kind in re.findall(r"(\d+) (skipped|left|failed)", text)}
        assert f"audiomask: {len(lines)} of {FILES} files done" in text, last
        assert sum(parts.values()) == FILES - len(lines)
        assert "failed" not in parts


@pytest.mark.slow
def test_lines_of_failures_are_told_by_both(tmp_path: Path, tiny: Path) -> None:
    recordings(tmp_path / "in")
    bad = {f"in/bad{number}.wav" for number in range(4)}
    for path in bad:
        (tmp_path / path).write_text("not audio")
    common = ("--model", tiny, "--device", "cpu", "--threads", "1", "--skip-existing")
    statuses, told = run_together(tmp_path, 3, (*COMMANDS["infill"], *common))
    assert statuses == [1, 1, 1], told
    lines = [json.loads(x) for x in (tmp_path / "out/told.jsonl").read_text().splitlines()]
    assert Counter(line["file"] for line in lines if "error" in line) == Counter(bad)
    filled = [(line["file"], line["start"]) for line in lines if "error" not in line]
    assert len(filled) == len(set(filled)) == FILES + FILES // 2
    assert [line["file"] for line in lines] == sorted(
        (line["file"] for line in lines), key=lambda name: ("live" in name, name)
    )


# what another run has, seen from one


def test_what_another_has_is_passed_over(invoke: Callable[..., Any], wav: Any) -> None:
    for name in "abc":
        wav(f"in/{name}.wav")
    held = AtomicFile(Path("out/b.tokens.safetensors"))
    with pytest.raises(ZeroDivisionError), held:  # noqa: PT012
        done = invoke("tokenize", "in", "-o", "out", "--skip-existing")
        assert done.status == 0
        assert "in/b.wav: left to another run" in done.err
        assert done.err.splitlines()[-1] == ("audiomask: 2 of 3 files done, 1 left to another run")
        done = invoke("tokenize", "in/b.wav", "-o", "out/", "--skip-existing")
        assert (done.status, done.err) == (0, "audiomask: in/b.wav: left to another run\n")
        raise ZeroDivisionError
    # that one failed: now it is done
    done = invoke("tokenize", "in", "-o", "out", "--skip-existing")
    assert done.err.splitlines()[-1] == "audiomask: 1 of 3 files done, 2 skipped"


def test_a_song_is_taken_as_a_whole(invoke: Callable[..., Any], wav: Any, listing: Any) -> None:
    wav("song.wav")
    held = AtomicFile(Path("separated/song/piano.wav"))
    with pytest.raises(ZeroDivisionError), held:  # noqa: PT012
        assert invoke("separate", "song.wav", "--skip-existing").status == 0
        assert [name for name in listing() if "/." not in name] == ["song.wav"]
        raise ZeroDivisionError
    assert invoke("separate", "song.wav", "--skip-existing").status == 0
    assert len(listing()) == 1 + 4


def test_what_comes_while_one_works_is_kept(
    invoke: Callable[..., Any], wav: Any, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a run that no lock tells of."""
    wav("song.wav")
    tokenize = engine.tokenize

    def late(self, *arguments):
        Path("song.tokens.safetensors").write_text("another's")
        return tokenize(self, *arguments)

    monkeypatch.setattr(engine, "tokenize", late)
    done = invoke("tokenize", "song.wav", "--skip-existing")
    assert (done.status, done.err) == (0, "audiomask: song.wav: left to another run\n")
    assert Path("song.tokens.safetensors").read_text() == "another's"
    Path("song.tokens.safetensors").unlink()
    done = invoke("tokenize", "song.wav")
    assert done.status == 2
    assert "exists" in done.error_line()
    assert Path("song.tokens.safetensors").read_text() == "another's"


@pytest.mark.parametrize("lack", ["locks", "links"])
def test_file_systems_that_lack_something(
    invoke: Callable[..., Any], wav: Any, listing: Any, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(*((atomic, "flock") if lack == "locks" else (os, "link")), refuse)
    wav("in/a.wav")
    wav("in/b.wav")
    assert invoke("tokenize", "in", "-o", "out", "--skip-existing").status == 0
    assert listing()[2:] == ["out/a.tokens.safetensors", "out/b.tokens.safetensors"]
    done = invoke("tokenize", "in", "-o", "out", "--skip-existing")
    assert done.err.splitlines()[-1] == "audiomask: 0 of 2 files done, 2 skipped"
    assert invoke("tokenize", "in", "-o", "out").status == 1


# the lock itself


def test_a_claim_is_all_or_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    with AtomicFile(paths[1]) as temporary:
        temporary.write_text("b")
        with claim_outputs(paths) as free:
            assert not free
        assert [p.name for p in tmp_path.iterdir()] == [temporary.name]
        with claim_outputs([paths[0]]) as free, claim_outputs(paths[:1]) as again:
            assert free
            assert not again
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    with claim_outputs(paths) as free:
        assert free
        with AtomicFile(paths[0]) as temporary:
            temporary.write_text("a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_what_was_killed_between_its_two_names_is_not_emptied(tmp_path: Path) -> None:
    path = tmp_path / "a"
    hidden = AtomicFile(path).temporary
    path.write_text("whole")
    os.link(path, hidden)
    with claim_outputs([path]) as free:
        assert free
        assert path.read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    os.link(path, hidden)
    atomic.remove_leftover(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "whole"
