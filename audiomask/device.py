"""The device that models run on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
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
