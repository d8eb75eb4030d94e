"""Collectives over the processes of one training run; without effect in a single process.

Every process draws the same random numbers and uses its own rows of them. So N processes with a
batch of B each compute the same steps as one process with a batch of N * B.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
import torch.distributed.nn.functional
from torch import Tensor


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum over all processes, without gradient."""
    if world_size() == 1:
        return values
    summed = values.detach().clone()
    dist.all_reduce(summed)
    return summed


def all_reduce_mean(values: Tensor) -> Tensor:
    """The mean over all processes, without gradient."""
    return values if world_size() == 1 else all_reduce_sum(values) / world_size()


def all_reduce_mean_with_gradient(values: Tensor) -> Tensor:
    """The mean over all processes, with gradients to each of them."""
    if world_size() == 1:
        return values
    summed: Tensor = torch.distributed.nn.functional.all_reduce(values)  # type: ignore[no-untyped-call]
    return summed / world_size()


def all_gather(rows: Tensor) -> Tensor:
    """The rows [N, …] of all processes, concatenated by rank [world * N, …], without gradient."""
    if world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(parts, rows.detach().contiguous())
    return torch.cat(parts)


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether a flag is set in any process."""
    return (
        flag if world_size() == 1 else bool(all_reduce_sum(torch.tensor(int(flag), device=device)))
    )


def from_main_process(number: float, device: torch.device) -> float:
    """The number that rank 0 has, in every process."""
    if world_size() == 1:
        return number
    return float(all_gather(torch.tensor([number], device=device, dtype=torch.float64))[0])


def all_reduce_min(number: int, device: torch.device) -> int:
    """The smallest number of all processes."""
    if world_size() == 1:
        return number
    return int(all_gather(torch.tensor([number], device=device)).min())


def rand(*shape: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """Uniform random numbers [rows of the batch, …]: this process's rows of what all of them draw.

    With a generator, they are drawn by this process alone.
    """
    if generator is not None or world_size() == 1:
        return torch.rand(shape, generator=generator, device=device)
    everybody = torch.rand(world_size() * shape[0], *shape[1:], device=device)
    return everybody[rank() * shape[0] : (rank() + 1) * shape[0]]


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run a block in rank 0 first, then in the other ranks, which find the files it made."""
    if rank() != 0:
        dist.barrier()
    yield
    if world_size() > 1 and rank() == 0:
        dist.barrier()
