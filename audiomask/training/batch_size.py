"""The largest batch that fits into a GPU's memory."""

from __future__ import annotations

from typing import Any

import torch

from audiomask.errors import UsageError
from audiomask.runtime import distributed
from audiomask.training.batches import BatchSource, to_device
from audiomask.training.task import Task

#: items of the largest batch that is tried; share of the memory that is left free
_MOST, _SPARE = 1024, 0.1


def largest_batch(task: Task, source: BatchSource, device: torch.device, autocast: Any) -> int:
    """The largest power of two of items whose step fits into the memory that may be used.

    Steps of growing batches are taken and undone: the model and the random state do not change.

    Args:
        task: its model is moved to the device.
        source: of the items.
        device: a CUDA device.
        autocast: context of the forward passes.

    Raises:
        UsageError: not even one item fits, or the device is no GPU.
    """
    if device.type != "cuda":
        raise UsageError("--batch-size auto is found on a CUDA device; give a number on the CPU")
    total = torch.cuda.get_device_properties(device).total_memory
    model = task.model.to(device).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fitting, size = 0, 1
    with torch.random.fork_rng([device]):
        while size <= _MOST:
            torch.cuda.reset_peak_memory_stats(device)
            try:
                items = [source.data[index] for index in range(size)]
                batch = source.finish(to_device(source.collate(items), device))
                with autocast:
                    loss, _ = task.loss(batch)
                torch.autograd.backward(loss)
                del loss, batch
                # the optimizer has two more numbers a weight, the EMA one
                more = 3 * sum(value.nbytes for value in before.values())
                if torch.cuda.max_memory_allocated(device) + more > (1 - _SPARE) * total:
                    break
                fitting = size
            except torch.OutOfMemoryError:
                break
            finally:
                model.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
            size *= 2
    model.load_state_dict(before)
    if fitting == 0:
        raise UsageError("not even one item fits into the GPU's memory: make the model smaller")
    # the process with the least memory decides
    return distributed.all_reduce_min(fitting, device)
