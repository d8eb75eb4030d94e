"""Numbers to double: a task that learns in a hundred steps, and how to train it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from audiomask.training.batches import BatchSource
from audiomask.training.config import Run, TrainConfig
from audiomask.training.loop import train
from audiomask.training.state import STATE_FILE

CPU = torch.device("cpu")


class Numbers(Dataset[Tensor]):
    """Item i is always the same."""

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng([7, index]).normal(size=4)).float()


class Others(Dataset[Tensor]):
    """Item i is always the same, and none of Numbers."""

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng([8, index]).normal(size=4)).float()


class Doubling:
    """Learn y = 2 x with noise drawn in every step, and remember what was seen."""

    def __init__(self, at: dict[int, Callable[[Tensor], Tensor | None]] | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
        self.at = at or {}
        self.batches: list[Tensor] = []
        self.validated: list[Tensor] = []
        self.saved: list[dict[str, Any]] = []

    def repeated_blocks(self) -> list[nn.Module]:
        return [self.model[0]]

    def unused_parameters(self) -> list[nn.Parameter]:
        return []

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        noise = 0.01 * torch.randn_like(batch)
        loss = (self.model(batch + noise) - 2 * batch).square().mean()
        if not self.model.training:
            self.validated.append(batch.clone())
            return loss, {"noise": noise.mean()}
        self.batches.append(batch.clone())
        changed = self.at.get(len(self.batches), lambda loss: None)(loss)
        return loss if changed is None else changed, {"noise": noise.mean()}

    def audio_samples(self, batch: Tensor) -> dict[str, Tensor]:
        return {"input": batch.flatten()}

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        copies = {name: value.clone() for name, value in weights.items()}
        self.saved.append(notes | {"weights": copies, "folder": folder.name})


def schedule(steps: int, **more: Any) -> TrainConfig:
    """Batches of four, three steps of warm-up, and an entry in the log every step."""
    return TrainConfig(steps, batch_size=4, warmup=3, log_every=1, **more)


def run(task: Any, out: Path, steps: int = 8, **more: Any) -> int:
    """Train on Numbers, or ``data``, and give the step it ended at.

    ``validation`` is what is validated on. Other options are those of a schedule or of a run.
    """
    plan = {k: more.pop(k) for k in list(more) if k in TrainConfig.__dataclass_fields__}
    data, validation = more.pop("data", Numbers()), more.pop("validation", None)
    how = Run(CPU, quiet=True, **more)
    return train(
        task, BatchSource(data, seconds=0.5), schedule(steps, **plan), out, how, validation
    )


def log(out: Path) -> list[dict[str, float]]:
    """The entries of a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def terminate(loss: Tensor) -> None:
    """Send this process SIGTERM; to be called at a step of Doubling's."""
    os.kill(os.getpid(), signal.SIGTERM)


def same(a: Path, b: Path) -> bool:
    """Whether two runs ended in the same state, the random generator's included."""
    first, second = load_file(a / STATE_FILE), load_file(b / STATE_FILE)
    assert first.keys() == second.keys()
    return all(
        torch.allclose(value.double(), second[name].double(), rtol=0, atol=1e-6)
        for name, value in first.items()
    )
