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
from audiomask.data.excerpt import UNORDERED, Excerpt

Item = RenderPlan | Excerpt
#: how many decibels apart the two halves of a mashup may be
MASHUP_DB = 12.0


class Mashup(NamedTuple):
    """Two items of which one excerpt is made, stem by stem.

    Attributes:
        items: the two.
        chosen: [S + 1] int64, which of them each stem is of.
        gain: [2], a factor of each.
    """

    items: tuple[Item, Item]
    chosen: Tensor
    gain: Tensor


class InterleavedDataset(Dataset[Item | Mashup]):
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
        channels: of the excerpts.
        mashup: share of excerpts that are made of two: an index's own, and one of any data set.
    """

    def __init__(
        self,
        parts: Sequence[Dataset[RenderPlan] | Dataset[Excerpt]],
        seed: int,
        names: Sequence[str],
        samples: int,
        notes: Tensor | None = None,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        channels: int = 1,
        mashup: float = 0.0,
    ) -> None:
        self.parts, self.seed, self.names, self.samples = parts, seed, tuple(names), samples
        self.sample_rate, self.channels, self.mashup = sample_rate, channels, mashup
        self.notes = torch.zeros(0, dtype=torch.int16) if notes is None else notes

    @property
    def stems(self) -> int:
        """How many places for stems an excerpt has, that of the rest included."""
        return len(self.names) + 1

    def __getitem__(self, index: int) -> Item | Mashup:
        row, place = divmod(index, len(self.parts))
        order = np.random.default_rng([self.seed, row, 1]).permutation(len(self.parts))
        item = self.parts[int(order[place])][index]
        if not self.mashup:
            return item
        rng = np.random.default_rng([self.seed, index, 3])
        if rng.random() >= self.mashup:
            return item
        # an index of its own: the other excerpt is in no epoch's order
        other = self.parts[int(rng.integers(len(self.parts)))][index + UNORDERED]
        gain = 10 ** (rng.uniform(-MASHUP_DB / 2, MASHUP_DB / 2, 2) / 20)
        chosen = rng.integers(0, 2, self.stems)
        return Mashup(
            (item, other), torch.from_numpy(chosen), torch.from_numpy(gain.astype(np.float32))
        )

    def excerpt(self, index: int) -> Excerpt:
        """An item as sound, mixture [C, T] and stems [S + 1, C, T]; made on the CPU."""
        return Excerpt(*(part[0] for part in self.play([self[index]])))

    def play(self, items: Sequence[Item | Mashup]) -> Excerpt:
        """Items as one batch of excerpts, made on the CPU one by one."""
        made = [self.play_one(item) for item in items]
        return Excerpt(*(torch.cat(part) for part in zip(*made, strict=True)))

    def play_one(self, item: Item | Mashup) -> Excerpt:
        """An item as a batch of one excerpt."""
        if isinstance(item, Mashup):
            pair = self.play(item.items)
            return combine(pair, torch.tensor([[0, 1]]), item.chosen[None], item.gain[None])
        if isinstance(item, RenderPlan):
            return render(item, self.notes, self.stems, self.samples)
        return Excerpt(*(part[None] for part in item))


def combine(excerpts: Excerpt, pairs: Tensor, chosen: Tensor, gain: Tensor) -> Excerpt:
    """Excerpts put together of pairs of others.

    An excerpt whose parts are unknown cannot be taken apart: of such a pair, the first stays.

    Args:
        excerpts: [N, …].
        pairs: [B, 2] int64, rows of ``excerpts``; one that is paired with itself stays as it is.
        chosen: [B, S + 1], which of the pair a stem is of.
        gain: [B, 2], a factor of each.
    """
    known = excerpts.has_stems[pairs].all(dim=1) & (pairs[:, 0] != pairs[:, 1])
    chosen = torch.where(known[:, None], chosen, 0)
    gain = torch.where(known[:, None], gain, 1)
    rows = pairs.gather(1, chosen)
    slots = torch.arange(chosen.shape[1], device=rows.device)
    stems = excerpts.stems[rows, slots] * gain.gather(1, chosen)[..., None, None]
    mixture = torch.where(known[:, None, None], stems.sum(dim=1), excerpts.mixture[pairs[:, 0]])
    peak = mixture.abs().amax(dim=(1, 2)).clamp_min(1e-6)
    fit = torch.where(known, (0.99 / peak).clamp_max(1), 1)[:, None, None]
    return Excerpt(mixture * fit, stems * fit[:, None], excerpts.has_stems[pairs[:, 0]])


class BatchBuilder(Protocol):
    """What a model makes of excerpts: its batches."""

    def draw(self, index: int) -> Tensor:
        """The random numbers that item ``index`` needs."""

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> Any:
        """A batch, of excerpts [B, …] and what was drawn for each of them [B, …]."""


class SeededItems(Dataset[tuple[Item | Mashup, Tensor]]):
    """The items of a dataset with what was drawn for them."""

    def __init__(self, dataset: InterleavedDataset, builder: BatchBuilder) -> None:
        self.dataset, self.builder = dataset, builder

    def __getitem__(self, index: int) -> tuple[Item | Mashup, Tensor]:
        return self.dataset[index], self.builder.draw(index)


class _RawBatch(NamedTuple):
    """A batch on its way to a GPU.

    Attributes:
        plan: all plans of the batch in one, if there are any.
        excerpts: the excerpts that were read, if there are any.
        pairs: [B, 2], where what an item is made of is among first the plans, then the excerpts;
            twice the same where it is one thing.
        chosen: [B, S + 1], which of its pair each stem of an item is of.
        gain: [B, 2], a factor of each of the pair.
        drawn: [B, …], what was drawn for the items.
    """

    plan: RenderPlan | None
    excerpts: Excerpt | None
    pairs: Tensor
    chosen: Tensor
    gain: Tensor
    drawn: Tensor


class CpuCollate:
    """Collates items in a loader's worker, all the way to a finished batch: for a CPU."""

    def __init__(self, dataset: InterleavedDataset, builder: BatchBuilder) -> None:
        self.dataset, self.builder = dataset, builder

    def __call__(self, items: Sequence[tuple[Item | Mashup, Tensor]]) -> Any:
        """A batch of the builder's kind."""
        excerpts, drawn = zip(*items, strict=True)
        return self.builder(self.dataset.play(excerpts), torch.stack(drawn))


class RawCollate:
    """Collates items in a loader's worker as they are: for a GPU, which does the rest itself.

    Args:
        stems: how many places for stems an excerpt has, that of the rest included.
    """

    def __init__(self, stems: int) -> None:
        self.stems = stems

    def __call__(self, items: Sequence[tuple[Item | Mashup, Tensor]]) -> _RawBatch:
        """What a device makes a batch of."""
        plans: list[RenderPlan] = []
        read: list[Excerpt] = []
        places = []
        for item, _ in items:
            pair = item.items if isinstance(item, Mashup) else (item,)
            for part in pair:
                if isinstance(part, RenderPlan):
                    places.append((0, len(plans)))
                    plans.append(part)
                else:
                    places.append((1, len(read)))
                    read.append(part)
        rows = iter([n + len(plans) * kind for kind, n in places])
        pairs, chosen, gain = [], [], []
        for item, _ in items:
            first = next(rows)
            if isinstance(item, Mashup):
                pairs.append((first, next(rows)))
                chosen.append(item.chosen)
                gain.append(item.gain)
            else:
                pairs.append((first, first))
                chosen.append(torch.zeros(self.stems, dtype=torch.int64))
                gain.append(torch.ones(2))
        return _RawBatch(
            join(plans) if plans else None,
            Excerpt(*map(torch.stack, zip(*read, strict=True))) if read else None,
            torch.tensor(pairs),
            torch.stack(chosen),
            torch.stack(gain),
            torch.stack([drawn for _, drawn in items]),
        )


class DeviceCollate:
    """Turns raw batches into finished ones, on a device that holds the notes.

    Args:
        dataset: where the batches come from.
        builder: what is made of them.
        device: where; the notes are copied there.
    """

    def __init__(
        self, dataset: InterleavedDataset, builder: BatchBuilder, device: torch.device
    ) -> None:
        self.dataset, self.builder, self.notes = dataset, builder, dataset.notes.to(device)

    def __call__(self, raw: _RawBatch) -> Any:
        """A batch of the builder's kind."""
        made = [] if raw.excerpts is None else [raw.excerpts]
        if raw.plan is not None:
            dataset = self.dataset
            made.insert(0, render(raw.plan, self.notes, dataset.stems, dataset.samples))
        parts = Excerpt(*(torch.cat(part) for part in zip(*made, strict=True)))
        return self.builder(combine(parts, raw.pairs, raw.chosen, raw.gain), raw.drawn)
