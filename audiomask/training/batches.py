"""Sources of batches for the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.interleave import (
    BatchBuilder,
    CpuCollate,
    DeviceCollate,
    InterleavedDataset,
    RawCollate,
    SeededItems,
)


def _unchanged(batch: Any) -> Any:
    """The batch as it is."""
    return batch


@dataclass(frozen=True)
class BatchSource:
    """Items and how they become batches.

    Attributes:
        data: the items, by index.
        collate: makes a batch of items, in the loader's workers.
        finish: makes the task's batch of a collated one, on the device.
        seconds: of audio in an item.
        sample_rate: of that audio.
    """

    data: Dataset[Any]
    collate: Callable[[list[Any]], Any] = default_collate
    finish: Callable[[Any], Any] = _unchanged
    seconds: float = 0.0
    sample_rate: int = DEFAULT_SAMPLE_RATE


class RankSlice(Dataset[Any]):
    """The remaining items of one process: it has one of ``world`` parts of each step's items.

    Item i of the run is item i of the data, whichever process loads it.

    Args:
        data: by index.
        first: the first item that remains.
        last: one past the last item of the run.
        batch: items of a batch in each process.
        rank: of this process.
        world: number of processes.
    """

    def __init__(
        self, data: Dataset[Any], first: int, last: int, batch: int, rank: int = 0, world: int = 1
    ) -> None:
        self.data, self.first, self.last = data, first, last
        self.batch, self.rank, self.world = batch, rank, world

    def __len__(self) -> int:
        return (self.last - self.first) // self.world

    def __getitem__(self, index: int) -> Any:
        number, place = divmod(index, self.batch)
        offset = (number * self.world + self.rank) * self.batch + place
        return self.data[self.first + offset]


def batch_source(
    dataset: InterleavedDataset, builder: BatchBuilder, device: torch.device
) -> BatchSource:
    """Batches of a dataset of excerpts, for a device.

    A GPU renders bands itself, as it does so fast; for the CPU the loader's workers do.
    """
    items, rate = SeededItems(dataset, builder), dataset.sample_rate
    seconds = dataset.samples / rate
    if device.type == "cpu":
        return BatchSource(items, CpuCollate(dataset, builder), seconds=seconds, sample_rate=rate)
    collate = RawCollate(dataset.stems)
    return BatchSource(items, collate, DeviceCollate(dataset, builder, device), seconds, rate)


def to_device(batch: Any, device: torch.device) -> Any:
    """A tensor, or a nested (named) tuple, list or dict of tensors, on the device."""
    if batch is None:
        return None
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(part, device) for name, part in batch.items()}
    if hasattr(batch, "_fields"):
        return type(batch)(*(to_device(part, device) for part in batch))
    return type(batch)(to_device(part, device) for part in batch)
