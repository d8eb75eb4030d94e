"""Training state: everything that a resumed run needs to equal one without interruption.

``state.safetensors`` has the weights, their averages, the optimizer's moments and the random
states, and in its metadata the :class:`TrainState`: one file, so that a kill leaves all or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from audiomask.checkpoint.store import write_tensors
from audiomask.errors import AudioFileError, CheckpointError
from audiomask.runtime import distributed

STATE_FILE = "state.safetensors"


@dataclass
class TrainState:
    """The progress of a run.

    Attributes:
        step: steps done.
        items: items of the data used; the index of the next one.
        seconds: time spent, with all resumptions.
        best: the lowest validation loss so far, if there is one.
        best_step: its step.
        scaler: state of the GradScaler for half precision.
        time_share: the part of ``total_seconds`` that has passed, 0 … 1; 0 without a limit.
    """

    step: int = 0
    items: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    time_share: float = 0.0


def gather_full(value: Tensor) -> Tensor:
    """A tensor on the CPU, gathered from all processes if it is sharded."""
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.detach().cpu().clone()


def _as_held(value: Tensor, like: Tensor) -> Tensor:
    """A full tensor with the device and type of another, and sharded if that is."""
    value = value.to(like.device, like.dtype)
    if isinstance(like, DTensor):
        return distribute_tensor(value, like.device_mesh, like.placements)
    return value


def save_state(
    folder: Path,
    model: nn.Module,
    ema: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    state: TrainState,
) -> None:
    """Write the state of a run atomically into its folder; called in all processes.

    Args:
        folder: of the run.
        model: with its present weights.
        ema: the averaged weights.
        optimizer: with its moments.
        state: the run's progress.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    tensors = {f"model/{name}": gather_full(value) for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": gather_full(value) for name, value in ema.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": gather_full(v) for name, v in moments.items()}
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    if distributed.rank() != 0:
        return
    metadata = {"place": json.dumps(asdict(state))}
    try:
        write_tensors(folder / STATE_FILE, tensors, metadata)
    except (OSError, SafetensorError, AudioFileError) as error:
        raise CheckpointError(f"{folder}: cannot write the training state ({error})") from error


def seconds_spent(folder: Path) -> float:
    """Seconds that the run in a folder has taken; 0 where its state cannot be read."""
    try:
        with safe_open(folder / STATE_FILE, framework="pt") as stored:
            return float(json.loads((stored.metadata() or {})["place"])["seconds"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return 0.0  # load_state reports what is wrong with it


def load_state(
    folder: Path,
    model: nn.Module,
    ema: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> TrainState:
    """Restore a run's state; returns its progress.

    Raises:
        CheckpointError: there is none, or it is of another model.
    """
    file = folder / STATE_FILE
    if not file.is_file():
        raise CheckpointError(f"{folder}: nothing to resume ({STATE_FILE} is missing)")
    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        state = TrainState(**json.loads(metadata["place"]))
        _restore_weights(model.state_dict(), part(tensors, "model/"))
        _restore_weights(ema, part(tensors, "average/"))
        _restore_moments(optimizer, part(tensors, "optimizer/"))
        torch.set_rng_state(tensors["random/cpu"])
        if torch.cuda.is_available() and "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file}: cannot resume from it ({reason})") from error
    return state


@torch.no_grad()
def _restore_weights(weights: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into those of a model; raises KeyError or RuntimeError if they differ."""
    if weights.keys() != saved.keys():
        different = sorted(weights.keys() ^ saved.keys())[0]
        raise KeyError(f"it is of another model: {different}")
    for name, value in weights.items():
        if value.shape != saved[name].shape:
            raise RuntimeError(f"it is of another model: {name} is {list(saved[name].shape)}")
        value.copy_(_as_held(saved[name], value))


def _restore_moments(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Restore the optimizer's moments."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in saved.items():
        number, key = name.split("/")
        parameter = parameters[int(number)]
        held = _as_held(value, parameter) if value.shape == parameter.shape else value
        moments.setdefault(int(number), {})[key] = held
    state = optimizer.state_dict()
    state["state"] = moments
    optimizer.load_state_dict(state)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
