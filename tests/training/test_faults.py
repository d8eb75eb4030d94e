"""Faults around a run: each ends it with one line, and its last checkpoint can be gone on with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from safetensors.torch import load_file

from audiomask.checkpoint import load_checkpoint
from audiomask.cli import main

SETTINGS = {
    "encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1, "levels": 2,
    "codebook_size": 8, "code_dim": 4, "log_every": 1,
}  # fmt: skip
#: exit status and what was said
Run = Callable[..., tuple[int, str]]
Limited = Callable[[int | None], AbstractContextManager[None]]


def arguments(data: Path, out: Path, *more: str, **settings: int) -> list[str]:
    """The words of a tiny run."""
    found = ["train", "vqvae", "--data", str(data), "--out", str(out), "--batch-size", "1"]
    found += ["--device", "cpu", "--threads", "1", "--quiet"]
    for name, value in (SETTINGS | settings).items():
        found += ["--set", f"{name}={value}"]
    return [*found, *more]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], limited: Limited) -> Iterator[Run]:
    """``run(data, out, "--steps", "2")``: a run in this process, whose files may be limited."""

    def start(
        data: Path, out: Path, *more: str, limit: int | None = None, **settings: int
    ) -> tuple[int, str]:
        with limited(limit), pytest.raises(SystemExit) as end:
            main(arguments(data, out, *more, **settings))
        told = capsys.readouterr().err
        assert "Traceback" not in told
        return int(end.value.code or 0), told

    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    yield start
    for number, handler in handlers.items():
        signal.signal(number, handler)


def assert_intact(out: Path, step: int) -> None:
    """The checkpoint of a step is whole, and nothing half-written lies beside it."""
    assert load_checkpoint(out, "vqvae").notes["step"] == step
    load_file(out / "state.safetensors")
    assert not list(out.glob(".audiomask-*"))


@pytest.mark.slow
def test_a_full_disk(run: Run, bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(bank, out, "--steps", "2")[0] == 0
    limit = (out / "state.safetensors").stat().st_size // 2
    status, told = run(bank, out, "--steps", "4", "--resume", limit=limit)
    assert status == 1
    assert "cannot write" in told
    assert len(told.strip().splitlines()) == 1
    assert_intact(out, 2)
    assert run(bank, out, "--steps", "4", "--resume")[0] == 0
    assert_intact(out, 4)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(run: Run, bank: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    status, told = run(bank, tmp_path / "file" / "run", "--steps", "1")
    assert status in (1, 2)
    assert "file" in told
    assert len(told.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state.safetensors", "run.toml"])
def test_a_damaged_run_is_not_gone_on_with(name: str, run: Run, bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(bank, out, "--steps", "1")[0] == 0
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[: len(content) // 2] + b'"[')
    status, told = run(bank, out, "--steps", "2", "--resume")
    assert status in (1, 2)
    assert name in told
    (out / name).write_bytes(content)
    assert run(bank, out, "--steps", "2", "--resume")[0] == 0


@pytest.mark.slow
def test_a_checkpoint_of_another_model(run: Run, bank: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert run(bank, first, "--steps", "1")[0] == 0
    assert run(bank, second, "--steps", "1", decoder_blocks=2)[0] == 0
    shutil.copy(first / "state.safetensors", second / "state.safetensors")
    status, told = run(bank, second, "--steps", "2", "--resume", decoder_blocks=2)
    assert status == 1
    assert "of another model" in told
    (first / "model.safetensors").write_bytes((second / "model.safetensors").read_bytes())
    status, told = run(bank, tmp_path / "c", "--init", str(first), "--steps", "1")
    assert status == 1
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_data_that_goes_while_it_is_trained_on(
    workers: str, run: Run, slakh: Callable[..., Path], tmp_path: Path
) -> None:
    for _ in range(3):
        data = slakh({"S00": (25, False), "S01": (33, False)}, seconds=8.0)
    out, away = tmp_path / "run", tmp_path / "away"
    more = ("--steps", "100000", "--save-every", "1", "--workers", workers)
    words = [sys.executable, "-m", "audiomask", *arguments(data, out, *more)]
    running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    began = time.monotonic()
    while not (out / "config.json").exists() and time.monotonic() - began < 60:
        time.sleep(0.05)
    os.rename(data, away)
    _, told = running.communicate(timeout=100)
    assert running.returncode == 1
    assert "Traceback" not in told
    last = told.strip().splitlines()[-1]
    assert "could be read" in last
    assert "last checkpoint stays" in last
    step = load_checkpoint(out, "vqvae").notes["step"]
    assert_intact(out, step)
    os.rename(away, data)
    assert run(data, out, "--steps", str(step + 2), "--resume")[0] == 0
    assert_intact(out, step + 2)
