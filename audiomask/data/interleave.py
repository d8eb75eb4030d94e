"""Interleaved data sets, mashups of their items, and collation into batches."""

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
#: largest difference in gain between the two halves of a mashup, in dB
MASHUP_DB = 12.0


class Mashup(NamedTuple):
    """An excerpt whose stems are from two items.

    Attributes:
        items: the two.
        chosen: int64 [S + 1], the item that each stem is from: 0 or 1.
        gain: [2], a factor for each item.
    """

    items: tuple[Item, Item]
    chosen: Tensor
    gain: Tensor


class InterleavedDataset(Dataset[Item | Mashup]):
    """Data sets of excerpts or render plans, interleaved at random.

    Each of N data sets has one of every N consecutive indices, so that data sets with epochs know
    their position in them (``ShardDataset.every``).

    Args:
        parts: the data sets.
        seed: with the index, decides the data set and the mashup.
        names: of the stems; the last place of an excerpt is for all others.
        samples: length of an excerpt.
        notes: samples of the note bank, for plans, int16 [total].
        sample_rate: of excerpts and notes, in Hz.
        channels: of the excerpts, 1 or 2.
        mashup: share of excerpts that are mashups with an excerpt of any data set.
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
        """Number of places for stems, with the last for all others."""
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
        other = self.parts[int(rng.integers(len(self.parts)))][index + UNORDERED]
        gain = 10 ** (rng.uniform(-MASHUP_DB / 2, MASHUP_DB / 2, 2) / 20)
        chosen = rng.integers(0, 2, self.stems)
        return Mashup(
            (item, other), torch.from_numpy(chosen), torch.from_numpy(gain.astype(np.float32))
        )

    def excerpt(self, index: int) -> Excerpt:
        """An item as an excerpt, rendered on the CPU."""
        return Excerpt(*(part[0] for part in self.render([self[index]])))

    def render(self, items: Sequence[Item | Mashup]) -> Excerpt:
        """Items as a batch of excerpts, rendered one by one on the CPU."""
        made = [self.render_item(item) for item in items]
        return Excerpt(*(torch.cat(part) for part in zip(*made, strict=True)))

    def render_item(self, item: Item | Mashup) -> Excerpt:
        """An item as a batch of one excerpt."""
        if isinstance(item, Mashup):
            pair = self.render(item.items)
            return combine(pair, torch.tensor([[0, 1]]), item.chosen[None], item.gain[None])
        if isinstance(item, RenderPlan):
            return render(item, self.notes, self.stems, self.samples)
        return Excerpt(*(part[None] for part in item))


def combine(excerpts: Excerpt, pairs: Tensor, chosen: Tensor, gain: Tensor) -> Excerpt:
    """Mashups of pairs of excerpts.

    A pair gives its first excerpt unchanged if one of the two has no stems.

    Args:
        excerpts: [N, …].
        pairs: int64 [B, 2], rows of ``excerpts``; a row paired with itself stays unchanged.
        chosen: int64 [B, S + 1], the excerpt of the pair that each stem is from: 0 or 1.
        gain: [B, 2], a factor for each excerpt.

    Returns:
        [B, …]; mashups are scaled to a peak of 0.99 at most.
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
    """Makes a model's batches of excerpts."""

    def sample(self, index: int) -> Tensor:
        """Random numbers for item ``index``."""

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> Any:
        """A batch of excerpts [B, …] with their random numbers ``sampled`` [B, …]."""


class SeededItems(Dataset[tuple[Item | Mashup, Tensor]]):
    """The items of a dataset with their random numbers."""

    def __init__(self, dataset: InterleavedDataset, builder: BatchBuilder) -> None:
        self.dataset, self.builder = dataset, builder

    def __getitem__(self, index: int) -> tuple[Item | Mashup, Tensor]:
        return self.dataset[index], self.builder.sample(index)


class _RawBatch(NamedTuple):
    """A batch before it is rendered on a GPU.

    Attributes:
        plan: of the excerpts to be rendered, if there are any.
        excerpts: read from recordings, if there are any.
        pairs, chosen, gain: how items are combined; see ``combine``. Rows of pairs count first the
            plan's excerpts, then ``excerpts``.
        sampled: random numbers of the items, [B, …].
    """

    plan: RenderPlan | None
    excerpts: Excerpt | None
    pairs: Tensor
    chosen: Tensor
    gain: Tensor
    sampled: Tensor


class CpuCollate:
    """Renders and collates items in a loader's worker, for training on a CPU."""

    def __init__(self, dataset: InterleavedDataset, builder: BatchBuilder) -> None:
        self.dataset, self.builder = dataset, builder

    def __call__(self, items: Sequence[tuple[Item | Mashup, Tensor]]) -> Any:
        """The builder's batch."""
        excerpts, sampled = zip(*items, strict=True)
        return self.builder(self.dataset.render(excerpts), torch.stack(sampled))


class RawCollate:
    """Collates items in a loader's worker, for rendering on a GPU.

    Args:
        stems: number of places for stems, with the last for all others.
    """

    def __init__(self, stems: int) -> None:
        self.stems = stems

    def __call__(self, items: Sequence[tuple[Item | Mashup, Tensor]]) -> _RawBatch:
        """A batch for ``DeviceCollate``."""
        plans: list[RenderPlan] = []
        read: list[Excerpt] = []
        positions = []
        for item, _ in items:
            pair = item.items if isinstance(item, Mashup) else (item,)
            for part in pair:
                if isinstance(part, RenderPlan):
                    positions.append((0, len(plans)))
                    plans.append(part)
                else:
                    positions.append((1, len(read)))
                    read.append(part)
        rows = iter([n + len(plans) * is_read for is_read, n in positions])
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
            torch.stack([sampled for _, sampled in items]),
        )


class DeviceCollate:
    """Renders batches on a device.

    Args:
        dataset: of the items.
        builder: makes the batches.
        device: where to render; the notes are copied there.
    """

    def __init__(
        self, dataset: InterleavedDataset, builder: BatchBuilder, device: torch.device
    ) -> None:
        self.dataset, self.builder, self.notes = dataset, builder, dataset.notes.to(device)

    def __call__(self, raw: _RawBatch) -> Any:
        """The builder's batch."""
        made = [] if raw.excerpts is None else [raw.excerpts]
        if raw.plan is not None:
            dataset = self.dataset
            made.insert(0, render(raw.plan, self.notes, dataset.stems, dataset.samples))
        parts = Excerpt(*(torch.cat(part) for part in zip(*made, strict=True)))
        return self.builder(combine(parts, raw.pairs, raw.chosen, raw.gain), raw.sampled)
