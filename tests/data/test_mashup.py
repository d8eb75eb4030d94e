"""Mashups: each stem is of one of two items, on every way from an item to a batch."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.notes import NoteBank, find_libraries
from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import (
    MASHUP_DB,
    CpuCollate,
    DeviceCollate,
    InterleavedDataset,
    Item,
    Mashup,
    RawCollate,
    SeededItems,
    combine,
)

STEMS = ("guitar", "piano")
SAMPLES = 5_000
CPU = torch.device("cpu")


class Recorded(Dataset[Excerpt]):
    """Noise in stereo, every third item's parts unknown; items are told by their samples."""

    def __getitem__(self, index: int) -> Excerpt:
        random = torch.Generator().manual_seed(index)
        stems = 0.05 * torch.randn(3, 2, SAMPLES, generator=random)
        known = index % 3 > 0
        if not known:
            stems[:2] = 0
        return Excerpt(stems.sum(dim=0), stems, torch.tensor(known))


class Whole:
    """A batch is the excerpts and the numbers."""

    def sample(self, index: int) -> Tensor:
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> tuple[Tensor, ...]:
        return (*excerpts, sampled)


@pytest.fixture(scope="module")
def bands(bank: Path) -> BandDataset:
    return BandDataset(NoteBank(find_libraries(bank)), STEMS, SAMPLES, seed=1, channels=2)


def blend_of(
    bands: BandDataset, parts: Sequence[Dataset[Item]], mashup: float, seed: int = 1
) -> InterleavedDataset:
    notes = torch.from_numpy(bands.bank.samples)
    return InterleavedDataset(
        parts,
        seed,
        STEMS,
        SAMPLES,
        notes,
        channels=2,
        mashup=mashup,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def blend(bands: BandDataset) -> InterleavedDataset:
    return blend_of(bands, [bands, Recorded()], 0.6)


def excerpts(*levels: Sequence[float], known: Sequence[bool] = ()) -> Excerpt:
    """Excerpts [N, S + 1, 2, 10] of constants; the right is minus half the left."""
    stems = torch.tensor(levels)[:, :, None, None] * torch.tensor([[1.0], [-0.5]]).expand(2, 10)
    return Excerpt(stems.sum(dim=1), stems, torch.tensor(known or [True] * len(levels)))


def test_a_combination_by_hand() -> None:
    found = combine(
        excerpts([0.1, 0.2, 0.3], [0.01, 0.02, 0.03]),
        torch.tensor([[0, 1], [1, 0], [1, 1]]),
        torch.tensor([[0, 1, 1], [0, 1, 1], [0, 1, 1]]),
        torch.tensor([[2.0, 0.5], [1.0, 1.0], [3.0, 3.0]]),
    )
    left = found.stems[:, :, 0, 0]
    assert torch.allclose(left[0], torch.tensor([0.2, 0.01, 0.015]))
    assert torch.allclose(left[1], torch.tensor([0.01, 0.2, 0.3]))
    assert torch.allclose(left[2], torch.tensor([0.01, 0.02, 0.03]))  # one thing, as it is
    assert torch.equal(found.stems[:, :, 1], -0.5 * found.stems[:, :, 0])
    assert torch.allclose(found.mixture, found.stems.sum(dim=1))
    assert found.has_stems.all()


@pytest.mark.parametrize("pair", [[0, 1], [1, 0]])
def test_what_cannot_be_taken_apart_stays_as_it_is(pair: list[int]) -> None:
    given = excerpts([0.1, 0.2, 0.3], [0.0, 0.0, 1.5], known=[True, False])
    found = combine(
        given, torch.tensor([pair]), torch.tensor([[1, 1, 1]]), torch.tensor([[2.0, 2.0]])
    )
    for part, whole in zip(found, given, strict=True):
        assert torch.equal(part[0], whole[pair[0]])


def test_a_combination_does_not_clip_and_keeps_its_balance() -> None:
    found = combine(
        excerpts([0.9, 0.1, 0.0], [0.2, 0.8, 0.1]),
        torch.tensor([[0, 1]]),
        torch.tensor([[0, 1, 1]]),
        torch.tensor([[2.0, 2.0]]),
    )
    assert float(found.mixture.abs().max()) == pytest.approx(0.99)
    assert torch.allclose(found.mixture, found.stems.sum(dim=1))
    left = found.stems[0, :, 0, 0]
    assert torch.allclose(left / left[0], torch.tensor([1.0, 8 / 9, 1 / 9]))


def test_each_stem_is_one_of_the_two_items(blend: InterleavedDataset) -> None:
    mixed, taken = 0, torch.zeros(2)
    for index in range(60):
        item, made = blend[index], blend.excerpt(index)
        assert made.mixture.shape == (2, SAMPLES)
        if not isinstance(item, Mashup):
            continue
        pair = blend.render(item.items)
        if not pair.has_stems.all():
            assert all(torch.equal(a, b[0]) for a, b in zip(made, pair, strict=True))
            continue
        mixed += 1
        assert torch.allclose(made.mixture, made.stems.sum(dim=0), atol=1e-5)
        assert float(made.mixture.abs().max()) <= 0.9901
        decibels = 20 * item.gain.log10()
        assert float(decibels.abs().max()) <= MASHUP_DB / 2 + 1e-3
        scales = []
        for stem, sound in enumerate(made.stems):
            which = int(item.chosen[stem])
            taken[which] += 1
            own = item.gain[which] * pair.stems[which, stem]
            scales.append((sound, own))
        # all are made smaller by one factor at most
        loudest = max(scales, key=lambda both: float(both[1].abs().max()))
        fit = float((loudest[0] * loudest[1]).sum() / loudest[1].square().sum().clamp_min(1e-12))
        assert fit <= 1.0001
        for sound, own in scales:
            assert torch.allclose(sound, fit * own, atol=1e-5)
    assert mixed > 10
    assert 0.3 < float(taken[0] / taken.sum()) < 0.7


def test_the_share_of_mashups_is_that_asked_for(bands: BandDataset) -> None:
    for share in (0.0, 0.25, 1.0):
        one = blend_of(bands, [Recorded()], share)
        mixed = [isinstance(one[index], Mashup) for index in range(400)]
        assert sum(mixed) / 400 == pytest.approx(share, abs=0.07)


def test_without_mashups_items_are_as_they_would_be_with_some(
    bands: BandDataset, blend: InterleavedDataset
) -> None:
    plain = blend_of(bands, [bands, Recorded()], 0.0)
    for index in range(20):
        item = blend[index]
        own = item.items[0] if isinstance(item, Mashup) else item
        same = plain[index]
        assert type(own) is type(same)
        if isinstance(same, Excerpt):
            assert torch.equal(own.mixture, same.mixture)  # type: ignore[union-attr]


def test_the_second_item_is_another_than_any_in_the_order(bands: BandDataset) -> None:
    one = blend_of(bands, [Recorded()], 1.0)
    for index in range(20):
        item = one[index]
        assert isinstance(item, Mashup)
        first, second = item.items
        assert isinstance(first, Excerpt)
        assert isinstance(second, Excerpt)
        assert not torch.equal(first.mixture, second.mixture)


def test_what_a_device_finishes_is_what_workers_finish(blend: InterleavedDataset) -> None:
    numbered = SeededItems(blend, Whole())
    kinds = set()
    for first in (0, 8, 16, 24):
        items = [numbered[index] for index in range(first, first + 8)]
        for item, _ in items:
            kinds.add(tuple(map(type, item.items)) if isinstance(item, Mashup) else type(item))
        here = CpuCollate(blend, Whole())(items)
        there = DeviceCollate(blend, Whole(), CPU)(RawCollate(blend.stems)(items))
        for x, y in zip(here, there, strict=True):
            assert x.dtype == y.dtype
            torch.testing.assert_close(x, y, atol=1e-6, rtol=1e-5)
        assert there[-1].tolist() == list(range(first, first + 8))
    # plans and recordings alone and in every pair
    assert len(kinds) == 6


@pytest.mark.parametrize("part", [0, 1])
def test_batches_of_one_kind_are_finished_too(bands: BandDataset, part: int) -> None:
    one = blend_of(bands, [[bands, Recorded()][part]], 0.5)
    items = [SeededItems(one, Whole())[index] for index in range(6)]
    raw = RawCollate(one.stems)(items)
    assert (raw.plan is None) == (part == 1)
    assert (raw.excerpts is None) == (part == 0)
    found = DeviceCollate(one, Whole(), CPU)(raw)
    assert torch.allclose(found[0], found[1].sum(dim=1), atol=1e-5)


def test_items_are_the_same_with_any_number_of_workers(blend: InterleavedDataset) -> None:
    def batches(workers: int) -> list[tuple[Tensor, ...]]:
        numbered = SeededItems(blend, Whole())
        loader: DataLoader[tuple[Tensor, ...]] = DataLoader(
            numbered,
            sampler=range(12),
            batch_size=4,
            collate_fn=CpuCollate(blend, Whole()),
            num_workers=workers,
        )
        return list(loader)

    for alone, helped in zip(batches(0), batches(2), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(alone, helped, strict=True))


def test_seeds_decide(bands: BandDataset, blend: InterleavedDataset) -> None:
    same = blend_of(bands, [bands, Recorded()], 0.6)
    other = blend_of(bands, [bands, Recorded()], 0.6, seed=2)
    kinds = [[type(data[index]) for index in range(30)] for data in (blend, same, other)]
    assert kinds[0] == kinds[1] != kinds[2]
    assert {RenderPlan, Excerpt, Mashup} == set(kinds[0])
    for index in range(6):
        pairs = zip(blend.excerpt(index), same.excerpt(index), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
