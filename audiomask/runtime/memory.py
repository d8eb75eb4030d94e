"""Device memory: batches as large as it holds, and its errors in words for users."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from audiomask.errors import AudiomaskError, DeviceError, DeviceMemoryError
from audiomask.runtime.device import number_device

_T = TypeVar("_T")

# only torch's own allocator has a class for its error: libraries and the CPU have but a message
_SHORT = re.compile(r"out of memory|ALLOC_FAILED|can't allocate memory|not enough memory", re.I)
_LOST = re.compile(
    r"CUDA (error|driver)|(cuDNN|cuFFT) error|(CUDNN|CUBLAS|CUSOLVER|CUFFT)_|No CUDA GPUs"
    r"|NVIDIA driver|device-side assert|unspecified launch failure"
)

logger = logging.getLogger(__name__)


class AdaptiveBatches:
    """Computes in batches that fit into a device's memory; sizes are halved when it runs out.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._most: dict[str, int] = {}

    def map(
        self, what: str, start: int, stop: int, compute: Callable[[int, int], _T], least: int = 1
    ) -> list[_T]:
        """Compute [start, stop) as one batch, or in smaller ones where memory runs out.

        Args:
            what: the name of the items, in the plural. A size that was too large for it is not
                tried again.
            start, stop: the range of items.
            compute: computes the batch [start, stop) it is called with.
            least: items of the smallest batch.

        Returns:
            The results of all batches, in order.
        """
        made: list[_T] = []
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
            # outside of except: its traceback keeps the tensors of the failed batch alive
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
    """Whether an error is about memory that ran out."""
    return isinstance(error, torch.OutOfMemoryError) or bool(_SHORT.search(str(error)))


def as_user_error(error: RuntimeError, device: torch.device) -> AudiomaskError | None:
    """The user's error for an error of the device; None if it is not the device's."""
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
    """Turn errors of the device into errors for the user.

    Raises:
        DeviceMemoryError: it has too little memory.
        DeviceError: it failed, or was removed.
    """
    try:
        yield
    except RuntimeError as error:
        user_error = as_user_error(error, device)
        if user_error is None:
            raise
        raise user_error from error
