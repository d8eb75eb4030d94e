"""Memory of a device: work in batches as large as it holds, and its errors in words for users."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from audiomask.errors import AudiomaskError, DeviceError, DeviceMemoryError
from audiomask.runtime.device import number_device

T = TypeVar("T")

# torch has a class for its own allocator's error only: libraries and the CPU have but words
_SHORT = re.compile(r"out of memory|ALLOC_FAILED|can't allocate memory|not enough memory", re.I)
_LOST = re.compile(
    r"CUDA (error|driver)|(cuDNN|cuFFT) error|(CUDNN|CUBLAS|CUSOLVER|CUFFT)_|No CUDA GPUs"
    r"|NVIDIA driver|device-side assert|unspecified launch failure"
)

logger = logging.getLogger(__name__)


class AdaptiveBatches:
    """Work in batches that a device's memory holds; their sizes are found out by failing.

    Args:
        device: whose memory.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._most: dict[str, int] = {}

    def map(
        self, what: str, start: int, stop: int, compute: Callable[[int, int], T], least: int = 1
    ) -> list[T]:
        """What ``compute`` makes of [start, stop): at once, or batch after batch where there is
        too little memory.

        Args:
            what: what is counted, in the plural; what was too much of it is not tried again.
            start, stop: all of it.
            compute: given where a batch begins and ends, as often as it takes.
            least: a batch that is not cut any further.
        """
        made: list[T] = []
        while start < stop:
            end = min(start + self._most.get(what, stop - start), stop)
            try:
                made.append(compute(start, end))
            except RuntimeError as error:
                if not is_out_of_memory(error) or end - start <= least:
                    raise
            else:
                start = end
                continue
            # not while the error is handled: through it, what was computed is still held
            self._most[what] = max((end - start) // 2, least)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            logger.warning(
                "not enough memory on %s for %d %s at once: %d at a time from here on",
                number_device(self.device),
                end - start,
                what,
                self._most[what],
            )
        return made


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or bool(_SHORT.search(str(error)))


def as_user_error(error: RuntimeError, device: torch.device) -> AudiomaskError | None:
    """An error of the device in words for the user; None for one that is our own."""
    name = number_device(device)
    if is_out_of_memory(error):
        way_out = "close what else runs, or try fewer --jobs"
        if device.type == "cuda":
            way_out = "close what else uses it, or use --device cpu"
        return DeviceMemoryError(f"not enough memory on {name}: {way_out}")
    if isinstance(error, torch.AcceleratorError) or _LOST.search(str(error)):
        words = str(error.args[0] if error.args else "").strip().splitlines()
        said = words[0].removeprefix("CUDA error: ") if words else type(error).__name__
        return DeviceError(
            f"{name} failed ({said}): nothing more can be computed on it; "
            "check it with nvidia-smi, or use --device cpu"
        )
    return None


@contextmanager
def device_errors(device: torch.device) -> Iterator[None]:
    """Turn what the device says of itself into errors a user can mend.

    Raises:
        DeviceMemoryError: it has too little memory.
        DeviceError: it failed, or is gone.
    """
    try:
        yield
    except RuntimeError as error:
        told = as_user_error(error, device)
        if told is None:
            raise
        raise told from error
