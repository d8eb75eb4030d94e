"""The processes of a run that ``torchrun`` started, and how they train one model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from audiomask.runtime import distributed
from audiomask.runtime.device import choose_device
from audiomask.training.task import Task

_Outcome = tuple[Tensor, dict[str, Tensor]]


@contextmanager
def processes(device: str) -> Iterator[torch.device]:
    """A context in which the processes of a run are connected; yields this process's device.

    Rank and world size come from the environment, which ``torchrun`` sets; without it there is one
    process. With GPUs each process of a machine has its own and the backend is NCCL, else Gloo.

    Raises:
        UsageError: there is no such device here.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield choose_device(device)
        return
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield chosen
    finally:
        dist.destroy_process_group()


class Step(nn.Module):
    """A task's loss as a module that DDP and FSDP can wrap."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model, self.loss = task.model, task.loss

    def forward(self, batch: Any) -> _Outcome:
        """Loss and numbers to log of a batch."""
        return self.loss(batch)


class DistributedStep:
    """A task's loss, with gradients averaged over all processes if there are several.

    Args:
        task: its model is on the device already.
        device: this process's.
        shard: keep only a part of the weights, gradients and moments in each process (FSDP), for
            models that are too large for one GPU.
    """

    def __init__(self, task: Task, device: torch.device, shard: bool = False) -> None:
        self.step = Step(task)
        self._wrapped: nn.Module = self.step
        if shard:
            # FSDP shards contiguous weights only
            task.model.to(memory_format=torch.contiguous_format)
            for block in task.repeated_blocks():
                fully_shard(block)
            fully_shard(self.step)
        elif distributed.world_size() > 1:
            devices = [device] if device.type == "cuda" else None
            # codebooks need no broadcast: every process updates them in the same way
            self._wrapped = DistributedDataParallel(
                self.step, device_ids=devices, broadcast_buffers=False
            )

    def loss(self, batch: Any) -> _Outcome:
        """Loss and numbers to log of this process's batch; its gradients are averaged."""
        outcome: _Outcome = self._wrapped(batch)
        return outcome

    def local_loss(self, batch: Any) -> _Outcome:
        """The same for validation, without gradients."""
        outcome: _Outcome = self.step(batch)
        return outcome

    @contextmanager
    def no_sync(self, more: bool) -> Iterator[None]:
        """A context that does not average gradients if ``more`` batches of the step follow."""
        if isinstance(self.step, FSDPModule):
            self.step.set_requires_gradient_sync(not more)
        if more and isinstance(self._wrapped, DistributedDataParallel):
            with self._wrapped.no_sync():
                yield
        else:
            yield
