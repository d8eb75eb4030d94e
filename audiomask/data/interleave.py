"""Several data sets as one, item by item in turn, and from their items to batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.bands.render_plan import RenderPlan, join
from audiomask.data.bands.rendering import render
from audiomask.data.excerpt import Excerpt


class InterleavedDataset(Dataset[RenderPlan | Excerpt]):
    """Data sets of excerpts, or of plans of them; every index belongs to one, always the same.

    Of as many indices in a row as there are data sets, each has one: with that, those that go
    through epochs know their place (``ShardDataset.every``).

    Args:
        parts: the data sets.
        seed: with the index, decides which.
        names: the stems' names; an excerpt has a last place for the rest.
        samples: length of an excerpt.
        notes: the samples of the note bank that plans are played with, int16 [total].
        sample_rate: of excerpts and notes.
    """

    def __init__(
        self,
        parts: Sequence[Dataset[RenderPlan] | Dataset[Excerpt]],
        seed: int,
        names: Sequence[str],
        samples: int,
        notes: Tensor | None = None,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
    ) -> None:
        self.parts, self.seed, self.names, self.samples = parts, seed, tuple(names), samples
        self.sample_rate = sample_rate
        self.notes = torch.zeros(0, dtype=torch.int16) if notes is None else notes

    @property
    def stems(self) -> int:
        """How many places for stems an excerpt has, that of the rest included."""
        return len(self.names) + 1

    def __getitem__(self, index: int) -> RenderPlan | Excerpt:
        row, place = divmod(index, len(self.parts))
        order = np.random.default_rng([self.seed, row, 1]).permutation(len(self.parts))
        return self.parts[int(order[place])][index]

    def excerpt(self, index: int) -> Excerpt:
        """An item as sound, mixture [T] and stems [S + 1, T]; made on the CPU."""
        return Excerpt(*(part[0] for part in self.play([self[index]])))

    def play(self, items: Sequence[RenderPlan | Excerpt]) -> Excerpt:
        """Items as one batch of excerpts, made on the CPU one by one."""
        made = [
            render(item, self.notes, self.stems, self.samples)
            if isinstance(item, RenderPlan)
            else Excerpt(*(part[None] for part in item))
            for item in items
        ]
        return Excerpt(*(torch.cat(part) for part in zip(*made, strict=True)))


class BatchBuilder(Protocol):
    """What a model makes of excerpts: its batches."""

    def draw(self, index: int) -> Tensor:
        """The random numbers that item ``index`` needs."""

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> Any:
        """A batch, of excerpts [B, …] and what was drawn for each of them [B, …]."""


class SeededItems(Dataset[tuple[RenderPlan | Excerpt, Tensor]]):
    """The items of a dataset with what was drawn for them."""

    def __init__(self, dataset: InterleavedDataset, builder: BatchBuilder) -> None:
        self.dataset, self.builder = dataset, builder

    def __getitem__(self, index: int) -> tuple[RenderPlan | Excerpt, Tensor]:
        return self.dataset[index], self.builder.draw(index)


class RawBatch(NamedTuple):
    """A batch on its way to a GPU.

    Attributes:
        plan: all plans of the batch in one, if there are any.
        excerpts: the excerpts that were read, if there are any.
        order: [B], where each item of the batch is among first the plans, then the excerpts.
        drawn: [B, …], what was drawn for the items.
    """

    plan: RenderPlan | None
    excerpts: Excerpt | None
    order: Tensor
    drawn: Tensor


class CpuCollate:
    """Collates items in a loader's worker, all the way to a finished batch: for a CPU."""

    def __init__(self, dataset: InterleavedDataset, builder: BatchBuilder) -> None:
        self.dataset, self.builder = dataset, builder

    def __call__(self, items: Sequence[tuple[RenderPlan | Excerpt, Tensor]]) -> Any:
        """A batch of the work's kind."""
        excerpts, drawn = zip(*items, strict=True)
        return self.builder(self.dataset.play(excerpts), torch.stack(drawn))


def collate_raw(items: Sequence[tuple[RenderPlan | Excerpt, Tensor]]) -> RawBatch:
    """Collates items in a loader's worker as they are: for a GPU, which does the rest itself."""
    plans = [(n, item) for n, (item, _) in enumerate(items) if isinstance(item, RenderPlan)]
    read = [(n, item) for n, (item, _) in enumerate(items) if isinstance(item, Excerpt)]
    places = torch.tensor([n for n, _ in [*plans, *read]])
    return RawBatch(
        join([plan for _, plan in plans]) if plans else None,
        Excerpt(*map(torch.stack, zip(*(e for _, e in read), strict=True))) if read else None,
        places.argsort(),
        torch.stack([drawn for _, drawn in items]),
    )


class DeviceCollate:
    """Turns raw batches into finished ones, on a device that holds the notes.

    Args:
        dataset: where the batches come from.
        work: what is made of them.
        device: where; the notes are copied there.
    """

    def __init__(
        self, dataset: InterleavedDataset, builder: BatchBuilder, device: torch.device
    ) -> None:
        self.dataset, self.builder, self.notes = dataset, builder, dataset.notes.to(device)

    def __call__(self, raw: RawBatch) -> Any:
        """A batch of the work's kind."""
        made = [] if raw.excerpts is None else [raw.excerpts]
        if raw.plan is not None:
            dataset = self.dataset
            made.insert(0, render(raw.plan, self.notes, dataset.stems, dataset.samples))
        excerpts = Excerpt(*(torch.cat(part)[raw.order] for part in zip(*made, strict=True)))
        return self.builder(excerpts, raw.drawn)
