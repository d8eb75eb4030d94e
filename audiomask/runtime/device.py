"""The device that models run on, and CPU threads."""

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
    """A device's name for messages: "cpu", "cuda:0 (NVIDIA H200)"."""
    device = torch.device(device)
    if device.type != "cuda":
        return str(device)
    return f"{number_device(device)} ({torch.cuda.get_device_name(device)})"


def describe_processor() -> str:
    """The vector instructions that PyTorch uses on the CPU, and its threads."""
    wide = torch.backends.cpu.get_cpu_capability()
    matrices = " and AMX" if has_bfloat16(torch.device("cpu")) else ""
    return f"{wide}{matrices}, {torch.get_num_threads()} threads"


def number_device(device: torch.device) -> str:
    """A device's name, with the number of the current device for "cuda"."""
    if device.type != "cuda" or device.index is not None:
        return str(device)
    return f"cuda:{torch.cuda.current_device() if torch.cuda.is_initialized() else 0}"


def share_of_threads(parts: int) -> int:
    """CPU threads for each of a number of jobs that share them: at least one."""
    return max(torch.get_num_threads() // parts, 1)


def thread_count_initializer() -> Callable[[], None]:
    """Initializer that gives a worker thread this thread's torch thread count.

    Each thread has its own count, and the last bits of its results depend on it.
    """
    return partial(torch.set_num_threads, torch.get_num_threads())


def has_bfloat16(device: torch.device) -> bool:
    """Whether matrix products are faster in bfloat16: on most GPUs, and on CPUs with AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported())  # noqa: SLF001 (there is no public one)


def fast(device: torch.device) -> AbstractContextManager[Any]:
    """Autocast of matrix products to bfloat16 where that is faster; results are less exact."""
    if has_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
