"""The device that models run on, and its threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch

from audiomask.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device called ``name``; "auto" is the first CUDA device, else the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device '{name}' (auto, cpu, cuda or cuda:N)") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: audiomask runs on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: no such CUDA device here; use auto or cpu")
    return device


def describe_device(device: torch.device | str) -> str:
    """How messages name a device: "cpu", "cuda:0 (NVIDIA H200)"."""
    device = torch.device(device)
    if device.type != "cuda":
        return str(device)
    return f"{number_device(device)} ({torch.cuda.get_device_name(device)})"


def number_device(device: torch.device) -> str:
    """A device's name with its number, which "cuda" alone leaves open."""
    if device.type != "cuda" or device.index is not None:
        return str(device)
    return f"cuda:{torch.cuda.current_device() if torch.cuda.is_initialized() else 0}"


def share_of_threads(parts: int) -> int:
    """How many of the CPU threads each of so many jobs gets: one at least."""
    return max(torch.get_num_threads() // parts, 1)


def thread_count_initializer() -> Callable[[], None]:
    """Initializer that gives a worker thread this thread's torch thread count.

    Every thread has a count of its own, and the last bits of what it computes depend on it.
    """
    return partial(torch.set_num_threads, torch.get_num_threads())


def has_bfloat16(device: torch.device) -> bool:
    """Whether heavy products are faster in bfloat16: on most GPUs, and on CPUs with AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported())


def fast(device: torch.device) -> AbstractContextManager[Any]:
    """Heavy products in bfloat16 where that is faster, for what need not be exact."""
    if has_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
