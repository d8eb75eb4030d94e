"""A run that is killed, at any moment, and resumed ends as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

STEPS = 40
SETTINGS = {
    "vqvae": "encoder_dim=8 encoder_blocks=1 decoder_dim=8 decoder_blocks=1 levels=2 "
    "codebook_size=8 code_dim=4 log_every=1",
    "mlm": "dim=8 heads=2 layers=1 bands=16 band_stft=1024 window=40 log_every=1",
}


def start(kind: str, data: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "audiomask", "train", kind, "--data", str(data)]
    command += ["--out", str(out), "--steps", str(STEPS), "--batch-size", "1", "--quiet"]
    command += ["--save-every", "4", "--device", "cpu", "--threads", "1", *more]
    for setting in SETTINGS[kind].split():
        command += ["--set", setting]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def finish(run: subprocess.Popen[bytes]) -> None:
    _, told = run.communicate(timeout=200)
    assert run.returncode == 0, told.decode()


def steps(out: Path) -> int:
    log = out / "log.jsonl"
    return len(log.read_text().splitlines()) if log.is_file() else 0


@pytest.mark.parametrize("kind", ["vqvae", "mlm"])
def test_kill_9_and_resume_is_no_interruption(kind: str, bank: Path, tmp_path: Path) -> None:
    finish(start(kind, bank, tmp_path / "whole"))
    seed = random.randrange(1 << 30)  # another moment every time; told when it fails
    chance = random.Random(seed)
    killed, more = 0, []
    for _ in range(2):
        run = start(kind, bank, tmp_path / "parts", *more)
        wanted = steps(tmp_path / "parts") + chance.randint(5, 14)
        while run.poll() is None and steps(tmp_path / "parts") < wanted:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.05)
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
            killed += 1
        run.communicate()
        more = ["--resume"]
    assert killed, seed
    finish(start(kind, bank, tmp_path / "parts", "--resume"))
    states = [load_file(tmp_path / name / "state.safetensors") for name in ("whole", "parts")]
    for name, value in states[0].items():
        difference = (value.double() - states[1][name].double()).abs().max()
        assert float(difference) < 1e-6, (seed, name)
    logs = []
    for name in ("whole", "parts"):
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line)["loss"] for line in lines])
    assert logs[0] == logs[1], seed
    assert torch.equal(
        *(load_file(tmp_path / name / "model.safetensors")[next(iter(load_file(
            tmp_path / name / "model.safetensors")))] for name in ("whole", "parts"))
    )  # fmt: skip
