"""Processes: the run's place among those that ``torchrun`` started, and how they share a model."""

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

Outcome = tuple[Tensor, dict[str, Tensor]]


@contextmanager
def processes(device: str) -> Iterator[torch.device]:
    """Join the processes of a run for as long as this lasts; gives this one's device.

    ``torchrun`` says in the environment who is who. Started in any other way, a process is alone.
    With GPUs each process of a machine has its own and they talk through NCCL, else through Gloo.

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
    """A task's loss as a module, so that whatever wraps modules can wrap it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model, self.loss = task.model, task.loss

    def forward(self, batch: Any) -> Outcome:
        """Loss and numbers of a batch."""
        return self.loss(batch)


class DistributedStep:
    """A task's step, shared with the other processes if there are any.

    Args:
        task: its model is on the device already.
        device: this process's.
        shard: hold only a part of the weights, gradients and moments in each process (FSDP), for
            models that are too large for one GPU.
    """

    def __init__(self, task: Task, device: torch.device, shard: bool = False) -> None:
        self.step = Step(task)
        self.wrapped: nn.Module = self.step
        if shard:
            # FSDP cuts weights in the order of their dimensions alone
            task.model.to(memory_format=torch.contiguous_format)
            for block in task.repeated_blocks():
                fully_shard(block)
            fully_shard(self.step)
        elif distributed.world_size() > 1:
            devices = [device] if device.type == "cuda" else None
            # codebooks need not be sent around: every process moves them alike
            self.wrapped = DistributedDataParallel(
                self.step, device_ids=devices, broadcast_buffers=False
            )

    def loss(self, batch: Any) -> Outcome:
        """Loss and numbers of this process's rows."""
        outcome: Outcome = self.wrapped(batch)
        return outcome

    def local_loss(self, batch: Any) -> Outcome:
        """The same without gradients to share, as in validation."""
        outcome: Outcome = self.step(batch)
        return outcome

    @contextmanager
    def no_sync(self, more: bool) -> Iterator[None]:
        """Keep gradients to oneself while ``more`` batches of the step are to come."""
        if isinstance(self.step, FSDPModule):
            self.step.set_requires_gradient_sync(not more)
        if more and isinstance(self.wrapped, DistributedDataParallel):
            with self.wrapped.no_sync():
                yield
        else:
            yield
