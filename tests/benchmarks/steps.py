"""Training steps a second, compared with a bare loop, and two processes compared with one.

    python tests/benchmarks/steps.py --steps 20 --threads 2

The bare loop is that of PyTorch's tutorials: forward, backward, clipping and AdamW, on one batch of
random tensors. The project's loop gets the same tensors and adds the EMA, the divergence guard,
logging and signal handling. Then two processes (Gloo, one thread each) divide the batch of one
process with two threads.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from report import note, show
from torch import nn
from torch.utils.data import Dataset

from audiomask.networks.masks import build_masks
from audiomask.networks.mlm import build_mlm
from audiomask.networks.vqvae import build_vqvae
from audiomask.training.batches import BatchSource
from audiomask.training.config import Run, TrainConfig
from audiomask.training.loop import train
from audiomask.training.optimizer import optimizer_of
from audiomask.training.task import Task
from audiomask.training.tasks.masks import MasksBatch, MasksTask
from audiomask.training.tasks.mlm import MLMBatch, MLMTask
from audiomask.training.tasks.vqvae import VQVAETask

CPU = torch.device("cpu")


class Same(Dataset[Any]):
    """The same item at every index."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __getitem__(self, index: int) -> Any:
        return self.item


def vqvae() -> tuple[Task, Any, int]:
    """The default VQ-VAE, an item of crops, and the batch size."""
    torch.manual_seed(0)
    return VQVAETask(build_vqvae("default", {}), "default"), 0.1 * torch.randn(6, 65 * 512), 2


def mlm() -> tuple[Task, Any, int]:
    """The default MLM, an item of tokens, and the batch size."""
    torch.manual_seed(0)
    settings = {"levels": 2, "codebook_size": 1024, "code_dim": 16, "hop_length": 512}
    model = build_mlm("default", settings | {"sample_rate": 44_100})
    config = model.config
    item = MLMBatch(
        torch.randint(1024, (2, config.window)),
        torch.randint(1024, (2, config.window)),
        torch.tensor(1),
        torch.rand(config.bands, config.window // config.band_frames),
        torch.zeros(0, config.window, dtype=torch.int64),
        torch.tensor(True),
    )
    return MLMTask(model, "default"), item, 4


def masks() -> tuple[Task, Any, int]:
    """The default mask U-Net, an item of band powers, and the batch size."""
    torch.manual_seed(0)
    model = build_masks("default", {})
    config = model.config
    shape = (config.audio_channels, config.bands, config.window)
    item = MasksBatch(
        torch.rand(shape),
        torch.rand(shape[1:]) / 2,
        torch.rand(len(config.stems) + 1, *shape) / 6,
        torch.rand(len(config.stems) + 1, *shape) / 6,
    )
    return MasksTask(model, "default"), item, 4


def bare(task: Task, item: Any, size: int, steps: int, run: Run) -> float:
    """Steps a second of a bare loop, without the first."""
    model = task.model.train()
    optimizer = optimizer_of(model, TrainConfig(steps, size))
    batch = torch.utils.data.default_collate([item] * size)
    began = 0.0
    for step in range(steps + 1):
        if step == 1:
            began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with run.autocast():
            loss, _ = task.loss(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return steps / (time.perf_counter() - began)


def ours(task: Task, item: Any, size: int, steps: int, run: Run) -> float:
    """Steps a second of the project's loop, without the first and without saving."""
    stamps = []
    loss = task.loss

    def stamped(batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        stamps.append(time.perf_counter())
        return loss(batch)

    task.loss = stamped  # type: ignore[method-assign]
    task.save = lambda *_: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        plan = TrainConfig(steps + 2, size, log_every=1, save_every=10**9)
        train(task, BatchSource(Same(item)), plan, Path(folder), run)
    return steps / (stamps[-1] - stamps[1])


def distributed_speed(data: Path, steps: int, processes: int) -> float:
    """Seconds of audio a second of ``audiomask train`` on two cores, in one process or two."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable]
        if processes > 1:
            command += ["-m", "torch.distributed.run", "--standalone"]
            command += [f"--nproc-per-node={processes}"]
        command += ["-m", "audiomask", "train", "vqvae", "--data", str(data), "--out", folder]
        command += ["--steps", str(steps), "--threads", str(2 // processes), "--device", "cpu"]
        command += ["--batch-size", str(2 // processes), "--set", f"log_every={steps // 2}"]
        subprocess.run([*command, "--quiet"], check=True)
        lines = (Path(folder) / "log.jsonl").read_text().splitlines()
    return float(json.loads(lines[-1])["speed"])


def main(
    steps: Annotated[int, typer.Option(min=2)] = 20,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    precision: Annotated[str, typer.Option()] = "fp32",
    data: Annotated[Path | None, typer.Option(help="Training data, for the processes.")] = None,
) -> None:
    """Measure steps a second."""
    torch.set_num_threads(threads)
    run = Run(CPU, precision=precision, quiet=True)
    rows = []
    made: dict[str, Callable[[], tuple[Task, Any, int]]]
    made = {"vqvae": vqvae, "mlm": mlm, "masks": masks}
    for name, make in made.items():
        # in turn, so that a slower machine slows both
        pairs = [
            (bare(*make(), steps, run), ours(*make(), steps, run)),
            (bare(*make(), steps, run), ours(*make(), steps, run)),
        ]
        peer, own = (max(values) for values in zip(*pairs, strict=True))
        rows.append([name, f"{peer:.3f}", f"{own:.3f}", f"{100 * own / peer:.0f} %"])
        note(f"{name}: {pairs}")
    show("steps a second", ["model", "bare loop", "this loop", "of it"], rows)
    if data is not None:
        speeds = [distributed_speed(data, steps, processes) for processes in (1, 2)]
        cells = [f"{speed:.1f}" for speed in speeds]
        show("seconds of audio a second", ["vqvae", "1 process", "2 processes"], [["", *cells]])


if __name__ == "__main__":
    typer.run(main)
