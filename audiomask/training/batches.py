"""Sources of batches: what a training loop reads, and which part of making it is whose."""

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


def unchanged(batch: Any) -> Any:
    """The batch as it is."""
    return batch


@dataclass(frozen=True)
class BatchSource:
    """Items and how they become batches.

    Attributes:
        data: the items, by index.
        collate: makes a batch of items, in the loader's workers.
        finish: makes it what the model takes, once it is on the device.
        seconds: of audio in an item.
        sample_rate: of that audio.
    """

    data: Dataset[Any]
    collate: Callable[[list[Any]], Any] = default_collate
    finish: Callable[[Any], Any] = unchanged
    seconds: float = 0.0
    sample_rate: int = DEFAULT_SAMPLE_RATE


class RankSlice(Dataset[Any]):
    """The items still to do of one process: each batch of the run is dealt out to all of them.

    Item i of the run is item i of the data, whoever loads it.

    Args:
        data: by index.
        first: the first item that is still to do.
        last: the end of the run.
        batch: items that a process takes at once.
        rank, world: which of how many processes this is.
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
        dealt = (number * self.world + self.rank) * self.batch + place
        return self.data[self.first + dealt]


def batch_source(
    dataset: InterleavedDataset, builder: BatchBuilder, device: torch.device
) -> BatchSource:
    """A feed of excerpts for a device: a GPU plays the bands itself, in no time; otherwise the
    loader's workers do it beside the training.
    """
    numbered, rate = SeededItems(dataset, builder), dataset.sample_rate
    seconds = dataset.samples / rate
    if device.type == "cpu":
        return BatchSource(
            numbered, CpuCollate(dataset, builder), seconds=seconds, sample_rate=rate
        )
    return BatchSource(
        numbered,
        RawCollate(dataset.stems),
        DeviceCollate(dataset, builder, device),
        seconds,
        rate,
    )


def to_device(batch: Any, device: torch.device) -> Any:
    """A tensor, or tuples of them, on the device; nested ones keep their shape."""
    if batch is None:
        return None
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if hasattr(batch, "_fields"):
        return type(batch)(*(to_device(part, device) for part in batch))
    return type(batch)(to_device(part, device) for part in batch)
