"""Many processes take the very steps that one does with as large a batch as they have together.

They add up in another order, so that their numbers differ by rounding. It is measured in double
precision (``double.py``): six steps amplify rounding a millionfold and stay below BOUND, while a
gradient that is not shared, an item that comes twice or other random numbers are far above it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

VQVAE = "encoder_dim=8 encoder_blocks=1 decoder_dim=8 decoder_blocks=1 levels=2 codebook_size=8"
SMALL = "dim=8 heads=2 layers=2 bands=16 log_every=1 warmup=3"
MLM = f"{SMALL} band_stft=1024 window=40"
SETTINGS = {
    # levels are dropped, codes re-seeded and codebooks moved by what all processes saw
    "vqvae": f"{VQVAE} code_dim=4 log_every=1 warmup=3",
    "paper": "blocks=6 channels=4 codebook_size=8 code_dim=4 log_every=1 warmup=3",
    # a share of so few rows would be rounded up in every process
    "mlm": f"{MLM} separated=1",
    # what gets no gradient must not be waited for
    "mlm without stems": f"{MLM} separated=0",
    # means and variances are those of all processes' batches
    "masks": f"{SMALL} stft_size=2048 hop_length=1024 window=20 channels=4,6",
    # other songs are those of a process's own batch
    "spectrogram": f"{SMALL} stft_size=2048 hop_length=1024 window=24 target_layer=1 clusters=4 "
    "semantic_clusters=6 shortest_span=2 longest_span=4 separator=2 blank=1 other_song=0",
    # steps are forgotten by what all processes drew
    "lm": "dim=8 heads=2 layers=1 window=40 log_every=1 warmup=3",
    "wave": "window=4096 targets=4 run=2 orders=4,20 spans=256,512 blocks=128,512 refine_order=4 "
    "refine_span=64 dim=8 heads=2 layers=1 decoder_dim=8 decoder_hidden=8 log_every=1 warmup=3",
}

BOUND = 1e-6
DOUBLE = str(Path(__file__).with_name("double.py"))


def train(kind: str, data: Path, out: Path, batch: int, processes: int = 1, *more: str) -> None:
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    command += [DOUBLE, "train", "vqvae" if kind == "paper" else kind.split()[0]]
    command += ["--data", str(data), "--out", str(out), "--batch-size", str(batch)]
    command += ["--steps", "6", "--device", "cpu", "--threads", "1", "--precision", "fp32", *more]
    if kind == "paper":
        command += ["--preset", "paper"]
    if kind == "lm":
        command += ["--stage", "acoustic"]
    for setting in SETTINGS[kind].split():
        command += ["--set", setting]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def losses(out: Path) -> list[float]:
    lines = (out / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.mark.parametrize("kind", SETTINGS)
def test_two_processes_take_the_steps_of_one(kind: str, bank: Path, tmp_path: Path) -> None:
    train(kind, bank, tmp_path / "one", batch=4)
    train(kind, bank, tmp_path / "two", 2, 2)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 6
    assert two == pytest.approx(one, rel=BOUND)
    states = [load_file(tmp_path / name / "state.safetensors") for name in ("one", "two")]
    for name, value in states[0].items():
        if name.startswith("model/"):
            torch.testing.assert_close(states[1][name], value, rtol=BOUND, atol=BOUND, msg=name)


def test_a_run_of_two_is_resumed_by_two_and_shards(bank: Path, tmp_path: Path) -> None:
    plain = ("--set", "optimizer=adamw")  # Muon takes whole matrices
    train("mlm", bank, tmp_path / "whole", 2, 2, *plain)
    train("mlm", bank, tmp_path / "parts", 2, 2, "--steps", "3", "--shard", *plain)
    assert len(losses(tmp_path / "parts")) == 3
    train("mlm", bank, tmp_path / "parts", 2, 2, "--resume", "--shard", *plain)
    # the learning rate follows the number of steps asked for: only the first three agree
    agreeing = losses(tmp_path / "whole")[:3]
    assert losses(tmp_path / "parts")[:3] == pytest.approx(agreeing, rel=BOUND)
    whole = load_file(tmp_path / "whole" / "state.safetensors")
    parts = load_file(tmp_path / "parts" / "state.safetensors")
    assert {name: value.shape for name, value in whole.items()} == {
        name: value.shape for name, value in parts.items()
    }
