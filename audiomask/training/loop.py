"""The one training loop: schedule, precision, clipping, EMA weights, checkpoints, exact resume."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from audiomask.errors import AudiomaskError
from audiomask.training.feed import Feed
from audiomask.training.state import load_state, save_state


class Task(Protocol):
    """What a model wants of the loop: a loss for a batch, and a way to be saved."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss of a batch and the numbers worth logging."""

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Write an inference checkpoint with these weights."""


@dataclass(frozen=True)
class Schedule:
    """How a run proceeds.

    Attributes:
        steps: optimiser steps in all; the learning rate falls to a hundredth by a cosine.
        batch_size: items a step.
        learning_rate: the peak.
        warmup: steps until the peak.
        clip: largest gradient norm.
        ema: decay of the averaged weights that are saved for use.
        weight_decay: of matrices.
        save_every: steps between checkpoints.
        log_every: steps between lines of the log.
    """

    steps: int
    batch_size: int
    learning_rate: float = 5e-4
    warmup: int = 200
    clip: float = 1.0
    ema: float = 0.999
    weight_decay: float = 0.01
    save_every: int = 500
    log_every: int = 20

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then cosine."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class Averages:
    """Exponential moving average of a model's floating-point state."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.learned = {name for name, _ in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model; the first steps count for more. Buffers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if name in self.learned:
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)


class Stop:
    """Notes SIGTERM and SIGINT, so that the step under way ends and is saved."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def leave_signals(worker: int) -> None:
    """Leave signals to the main process: one to the whole group must not end a worker first.

    Leave the progress bar to it as well: what a forked worker has to say goes past the bar, whose
    lock may have been held when the worker began.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.stderr = sys.__stderr__


class Steps(Dataset[Any]):
    """The items of the steps still to do: item i of the run is item i of the data."""

    def __init__(self, data: Dataset[Any], first: int, last: int) -> None:
        self.data, self.first, self.last = data, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> Any:
        return self.data[self.first + index]


def train(
    task: Task,
    feed: Feed,
    schedule: Schedule,
    out: Path,
    *,
    device: torch.device,
    precision: str = "fp32",
    workers: int = 0,
    seed: int = 0,
    max_time: float | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> int:
    """Train until ``schedule.steps``, ``max_time`` seconds or a signal; returns the step reached.

    Raises:
        AudiomaskError: the loss is not finite (the last checkpoint stays as it was).
    """
    began = time.monotonic()
    model = task.model.to(device).train()
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": schedule.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
    )
    torch.manual_seed(seed)
    averages = Averages(model, schedule.ema)
    step, trained = 0, 0.0
    if resume:
        step, trained = load_state(out, model, averages.weights, optimiser)
    items = Steps(feed.data, step * schedule.batch_size, schedule.steps * schedule.batch_size)
    loader: DataLoader[Any] = DataLoader(
        items,
        batch_size=schedule.batch_size,
        collate_fn=feed.collate,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=leave_signals,
        prefetch_factor=2 if workers else None,
        # its own: by default it draws from the random state that a resumed run has put back
        generator=torch.Generator().manual_seed(seed),
    )
    out.mkdir(parents=True, exist_ok=True)
    log = (out / "log.jsonl").open("a", encoding="utf-8")

    def save() -> None:
        seconds = trained + time.monotonic() - began
        notes = {"step": step, "seconds": round(seconds), "device": device.type}
        save_state(out, model, averages.weights, optimiser, step, seconds)
        task.save(out, averages.weights, notes)

    with Stop() as stop, log, progress(quiet) as bar:
        line = bar.add_task("training", total=schedule.steps, completed=step, status="")
        for arrived in loader:
            batch = feed.finish(move(arrived, device))
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                loss, numbers = task.loss(batch)
            finite(loss, "loss", step, out)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            norm = nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            finite(norm, "gradient", step, out)
            optimiser.step()
            step += 1
            averages.update(model, step)
            elapsed = time.monotonic() - began
            if step % schedule.log_every == 0:
                numbers = {"loss": float(loss.detach()), **numbers, "gradient": float(norm)}
                entry = {"step": step, "seconds": round(trained + elapsed, 1), **numbers}
                log.write(json.dumps(entry) + "\n")
                log.flush()
                bar.update(line, status=f"loss {float(loss.detach()):.3f}")
            bar.update(line, completed=step)
            late = max_time is not None and elapsed > max_time
            if stop.asked or late or step == schedule.steps:
                break
            if step % schedule.save_every == 0:
                save()
        save()
    return step


def finite(value: Tensor, what: str, step: int, out: Path) -> None:
    """Raise AudiomaskError for a loss or gradient that would spoil the weights."""
    if not torch.isfinite(value):
        raise AudiomaskError(
            f"the {what} is {float(value.detach())} at step {step}; {out} holds the last "
            "checkpoint before it: lower the learning rate and --resume"
        )


def move(batch: Any, device: torch.device) -> Any:
    """A tensor, or tuples of them, on the device; nested ones keep their shape."""
    if batch is None:
        return None
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if hasattr(batch, "_fields"):
        return type(batch)(*(move(part, device) for part in batch))
    return type(batch)(move(part, device) for part in batch)


def progress(quiet: bool) -> Progress:
    """The bar on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
