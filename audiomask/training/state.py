"""Training state: everything a resumed run needs to go on as if it had never stopped.

``state.safetensors`` holds weights, averages, the optimiser's moments and the random states, with
the step and the seconds trained in its metadata: one file, so that a kill cannot tear it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from audiomask.checkpoint import write_tensors
from audiomask.errors import AudioFileError, CheckpointError

STATE_FILE = "state.safetensors"


def save_state(
    folder: Path,
    model: nn.Module,
    averages: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    """Write the state of a run atomically into its folder.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in averages.items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{name}": value for name, value in moments.items()}
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    on_cpu = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    metadata = {"step": str(step), "seconds": repr(seconds)}
    try:
        write_tensors(folder / STATE_FILE, on_cpu, metadata)
    except (OSError, SafetensorError, AudioFileError) as error:
        raise CheckpointError(f"{folder}: cannot write the training state ({error})") from error


def load_state(
    folder: Path,
    model: nn.Module,
    averages: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> tuple[int, float]:
    """Put a run's state back; returns the step and the seconds trained so far.

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
        model.load_state_dict(part(tensors, "model/"))
        for name, value in part(tensors, "average/").items():
            averages[name].copy_(value)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in part(tensors, "optimiser/").items():
            number, key = name.split("/")
            moments.setdefault(int(number), {})[key] = value
        state = optimiser.state_dict()
        state["state"] = moments
        optimiser.load_state_dict(state)
        torch.set_rng_state(tensors["random/cpu"])
        if torch.cuda.is_available() and "random/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random/cuda"])
        return int(metadata["step"]), float(metadata["seconds"])
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file}: cannot resume from it ({reason})") from error


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
