"""Interleaving: the same batch whoever makes it, with plans and recordings side by side."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.notes import NoteBank, find_libraries
from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import (
    CpuCollate,
    DeviceCollate,
    InterleavedDataset,
    RawCollate,
    SeededItems,
)
from audiomask.training.batches import RankSlice, batch_source

STEMS = ("guitar", "piano")
SAMPLES = 11_025
CPU = torch.device("cpu")


class Constants(Dataset[Excerpt]):
    """Item i is i everywhere."""

    def __getitem__(self, index: int) -> Excerpt:
        stems = torch.full((3, 1, SAMPLES), float(index))
        return Excerpt(stems.sum(dim=0), stems, torch.tensor(index % 2 == 0))


class Sums:
    """A batch is the mixtures, the sums of the stems, whether they are known, and the numbers."""

    def sample(self, index: int) -> Tensor:
        return torch.tensor([index, 2 * index])

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> tuple[Tensor, ...]:
        return excerpts.mixture, excerpts.stems.sum(dim=1), excerpts.has_stems, sampled


@pytest.fixture(scope="module")
def blend(bank: Path) -> InterleavedDataset:
    notes = NoteBank(find_libraries(bank))
    bands = BandDataset(notes, STEMS, SAMPLES, seed=1)
    return InterleavedDataset(
        [bands, Constants()], 1, STEMS, SAMPLES, torch.from_numpy(notes.samples)
    )


def test_items_come_from_all_parts_always_the_same(blend: InterleavedDataset) -> None:
    kinds = [type(blend[index]) for index in range(60)]
    assert kinds == [type(blend[index]) for index in range(60)]
    # of every two in a row, each part has one
    assert all(one != two for one, two in zip(kinds[::2], kinds[1::2], strict=True))
    other = InterleavedDataset(blend.parts, 2, STEMS, SAMPLES, blend.notes)
    assert kinds != [type(other[index]) for index in range(60)]


def batches(blend: InterleavedDataset, workers: int, feed: Any = None) -> list[Any]:
    feed = feed or batch_source(blend, Sums(), CPU)
    loader = DataLoader(
        RankSlice(feed.data, 5, 17, 4), batch_size=4, collate_fn=feed.collate, num_workers=workers
    )
    return [feed.finish(batch) for batch in loader]


@pytest.mark.parametrize("workers", [1, 4])
def test_batches_are_the_same_with_any_number_of_workers(
    blend: InterleavedDataset, workers: int
) -> None:
    alone, helped = batches(blend, 0), batches(blend, workers)
    assert len(alone) == len(helped) == 3
    for a, b in zip(alone, helped, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert [int(n) for batch in alone for n in batch[3][:, 0]] == list(range(5, 17))


def test_what_a_device_finishes_is_what_workers_finish(blend: InterleavedDataset) -> None:
    numbered = SeededItems(blend, Sums())
    for first in (0, 8, 16):
        items = [numbered[index] for index in range(first, first + 8)]
        kinds = {type(item) for item, _ in items}
        assert kinds == {RenderPlan, Excerpt}
        here = CpuCollate(blend, Sums())(items)
        there = DeviceCollate(blend, Sums(), CPU)(RawCollate(3)(items))
        for x, y in zip(here, there, strict=True):
            assert x.dtype == y.dtype
            torch.testing.assert_close(x, y, atol=1e-6, rtol=1e-5)
        # in order
        read = [n for n, (item, _) in enumerate(items) if isinstance(item, Excerpt)]
        assert [float(there[0][n, 0, 0]) for n in read] == [3.0 * (first + n) for n in read]


@pytest.mark.parametrize("part", [0, 1])
def test_batches_of_one_kind_are_finished_too(blend: InterleavedDataset, part: int) -> None:
    one = InterleavedDataset([blend.parts[part]], 1, STEMS, SAMPLES, blend.notes)
    items = [SeededItems(one, Sums())[index] for index in range(3)]
    raw = RawCollate(3)(items)
    assert (raw.plan is None) == (part == 1)
    assert (raw.excerpts is None) == (part == 0)
    found = DeviceCollate(one, Sums(), CPU)(raw)
    assert torch.allclose(found[0], found[1], atol=1e-6)


def test_an_excerpt_is_its_place_in_a_batch(blend: InterleavedDataset) -> None:
    played = blend.render([blend[index] for index in range(4)])
    for index in range(4):
        alone = blend.excerpt(index)
        assert all(torch.equal(part[index], a) for part, a in zip(played, alone, strict=True))
