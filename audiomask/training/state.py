"""Training state: everything a resumed run needs to go on as if it had never stopped.

``state.safetensors`` holds weights, averages, the optimizer's moments and the random states, with
the run's place in its metadata: one file, so that a kill cannot tear it.
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
    """How far a run has come.

    Attributes:
        step: steps done.
        items: items of the data that they took; the next one comes next.
        seconds: time spent, over all resumptions.
        time_share: how much of the schedule's time is over, 0 … 1; 0 if it goes by steps.
        best: the smallest validation loss so far, if there is one.
        best_step: the step it is of.
        scaler: state of the scaling of half-precision gradients.
    """

    step: int = 0
    items: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    time_share: float = 0.0


def gather_full(value: Tensor) -> Tensor:
    """A tensor on the CPU, put together from all processes if they hold parts of it."""
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.detach().cpu().clone()


def as_held(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor in the way that another is held: on its device, in parts if it is."""
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
    """Write the state of a run atomically into its folder; called by all processes.

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
    """Seconds that the run in a folder has taken; 0 where there is none that can be read."""
    try:
        with safe_open(folder / STATE_FILE, framework="pt") as stored:
            return float(json.loads((stored.metadata() or {})["place"])["seconds"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return 0.0  # load_state says what is wrong with it


def load_state(
    folder: Path,
    model: nn.Module,
    ema: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> TrainState:
    """Put a run's state back; returns how far it has come.

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
        restore_weights(model.state_dict(), part(tensors, "model/"))
        restore_weights(ema, part(tensors, "average/"))
        restore_moments(optimizer, part(tensors, "optimizer/"))
        torch.set_rng_state(tensors["random/cpu"])
        if torch.cuda.is_available() and "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file}: cannot resume from it ({reason})") from error
    return state


@torch.no_grad()
def restore_weights(weights: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into those of a model; raises KeyError or RuntimeError if they differ."""
    if weights.keys() != saved.keys():
        different = sorted(weights.keys() ^ saved.keys())[0]
        raise KeyError(f"it is of another model: {different}")
    for name, value in weights.items():
        if value.shape != saved[name].shape:
            raise RuntimeError(f"it is of another model: {name} is {list(saved[name].shape)}")
        value.copy_(as_held(saved[name], value))


def restore_moments(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Put the optimizer's moments back."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in saved.items():
        number, key = name.split("/")
        parameter = parameters[int(number)]
        held = as_held(value, parameter) if value.shape == parameter.shape else value
        moments.setdefault(int(number), {})[key] = held
    state = optimizer.state_dict()
    state["state"] = moments
    optimizer.load_state_dict(state)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
