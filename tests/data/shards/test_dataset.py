"""Shard data set: each segment as often as it should come, the same batches for everybody."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.excerpt import UNORDERED, Elsewhere, Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.data.shards.dataset import ShardDataset, draw_order
from audiomask.data.shards.manifest import Segment
from audiomask.data.shards.packing import pack
from audiomask.data.songs import TrackDataset
from audiomask.errors import DataError
from audiomask.training.batches import RankSlice

STEMS = ("guitar", "bass")
#: more than half of a segment, so that each comes once an epoch
SAMPLES = 15_000
#: the segments of the training songs
NUMBER = 28


def opened(
    where: Path | str,
    augmentation: Augmentation = NONE,
    samples: int = SAMPLES,
    seed: int = 0,
    **more: object,
) -> ShardDataset:
    shards = recognize(where).shards
    assert shards is not None
    return ShardDataset(shards, "train", STEMS, samples, seed, augmentation, **more)  # type: ignore[arg-type]


class Met(Dataset[str]):
    """Which segment each item is of."""

    def __init__(self, data: ShardDataset) -> None:
        self.data, self.seen = data, ""
        data.mixer.make = self.make  # type: ignore[method-assign, assignment]

    def make(self, song: Segment, *_: object) -> Excerpt:
        self.seen = f"{song.name}@{song.start}"
        return Excerpt(*3 * (torch.zeros(0),))

    def __getitem__(self, index: int) -> str:
        self.data[index]
        return self.seen


def everything(data: ShardDataset) -> Counter[str]:
    return Counter(f"{segment.name}@{segment.start}" for segment in data.segments)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize(
    ("ranks", "workers", "batch"), [(1, 0, 4), (1, 3, 2), (2, 2, 7), (4, 1, 1)]
)
def test_ranks_and_workers_together_meet_every_segment_once_an_epoch(
    packed: Path, ranks: int, workers: int, batch: int
) -> None:
    met = Met(opened(packed))
    assert met.data.items == NUMBER
    epochs = []
    for epoch in range(2):
        found = []
        for rank in range(ranks):
            first = epoch * NUMBER
            items = RankSlice(met, first, first + NUMBER, batch, rank, ranks)
            loader = DataLoader(items, batch_size=batch, num_workers=workers)
            found.append([segment for names in loader for segment in names])
        together = [segment for part in found for segment in part]
        assert Counter(together) == everything(met.data)
        epochs.append(found)
    assert epochs[0] != epochs[1]


def test_longer_segments_come_more_often(packed: Path) -> None:
    data = opened(packed, samples=5_000)
    met = Met(data)
    # 0.5 s are 22,050 samples
    assert data.items == NUMBER * 4
    assert Counter(met[index] for index in range(data.items)) == Counter(
        dict.fromkeys(everything(data), 4)
    )


def test_in_a_blend_every_segment_comes_once_an_epoch_too(packed: Path, songs: Path) -> None:
    sources = [recognize(songs), recognize(packed)]
    blend = open_data(sources, STEMS, SAMPLES, 3, augmentation=NONE)
    assert [type(part) for part in blend.parts] == [TrackDataset, ShardDataset]
    shards = blend.parts[1]
    assert isinstance(shards, ShardDataset)
    met = Met(shards)
    both = InterleavedDataset([[""] * 100, met], 3, STEMS, SAMPLES)  # type: ignore[list-item]
    found = [both[index] for index in range(2 * NUMBER)]
    assert found.count("") == NUMBER  # type: ignore[arg-type]
    assert Counter(one for one in found if one) == everything(shards)  # type: ignore[arg-type]


def batches(data: Dataset[Excerpt], workers: int, first: int = 0, last: int = 48) -> list[Excerpt]:
    return list(DataLoader(RankSlice(data, first, last, 4), batch_size=4, num_workers=workers))


def same(one: Sequence[Excerpt], two: Sequence[Excerpt]) -> bool:
    return len(one) == len(two) and all(
        torch.equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_any_number_of_workers_gives_the_same_batches(packed: Path) -> None:
    data = opened(packed, Augmentation())
    alone = batches(data, 0)
    for workers in (1, 3):
        assert same(batches(opened(packed, Augmentation()), workers), alone)
    assert same(batches(data, 0), alone)
    assert not same(batches(opened(packed, Augmentation(), seed=1), 0), alone)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("workers", [0, 3])
def test_a_resumed_run_goes_on_where_it_was(packed: Path, workers: int) -> None:
    uninterrupted = batches(opened(packed, Augmentation()), 0)
    # in the middle of the first epoch, and of the second
    for first in (20, 36):
        resumed = batches(opened(packed, Augmentation()), workers, first)
        assert same(resumed, uninterrupted[first // 4 :])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize(("workers", "window", "times"), [(0, 2, 2), (2, 8, 1)])
def test_a_stream_gives_the_same_batches_as_a_folder(
    packed: Path, server: Callable[..., object], workers: int, window: int, times: int
) -> None:
    expected = batches(opened(packed, Augmentation(), window=window), 0)
    running = server(packed)
    address = running.address  # type: ignore[attr-defined]
    for text in (address, f"pipe:cat {packed}/", f"file:{packed}/"):
        data = opened(text, Augmentation(), window=window)
        assert same(batches(data, workers), expected)
    # in two epochs each shard comes twice, and only once where all are kept, for all workers
    asked = Counter(running.asked)  # type: ignore[attr-defined]
    assert {name for name in asked if name.endswith(".tar")} == {
        shard.name for shard in data.shards
    }
    assert max(asked.values()) == times


def test_what_is_heard_is_what_was_packed(packed: Path, songs: Path) -> None:
    files = {track.name: track for track in recognize(songs).tracks}
    whole = {}
    for name, track in files.items():
        alone = TrackDataset([track], STEMS, round(track.seconds * 44_100), 0, NONE)
        whole[name] = alone[0].stems
    data = opened(packed)
    names = []
    make = data.mixer.make

    def spy(song: Segment, *given: object) -> object:
        names.append(song.name)
        return make(song, *given)  # type: ignore[arg-type]

    data.mixer.make = spy  # type: ignore[method-assign, assignment]
    for index in range(NUMBER):
        mixture, stems, has_stems = data[index]
        assert has_stems
        assert torch.equal(mixture, stems.sum(dim=0))
        original = whole[names[-1]]
        bass = original[1, 0].unfold(0, 50, 1)
        start = int((bass == stems[1, 0, :50]).all(dim=1).nonzero()[0])
        expected = original[..., start : start + SAMPLES]
        assert torch.allclose(stems[..., : expected.shape[-1]], expected, atol=1e-7)


def test_stems_are_mixed_with_songs_that_are_near(packed: Path) -> None:
    data = opened(packed, Augmentation(), window=2)
    order = data.order(0)
    rank = {int(shard): place for place, shard in enumerate(order.shards)}
    used: list[str] = []
    read = data.mixer.read_file

    def spy(member: object, start: int, stop: int) -> object:
        used.append(member.shard)  # type: ignore[attr-defined]
        return read(member, start, stop)  # type: ignore[arg-type]

    data.mixer.read_file = spy  # type: ignore[assignment]
    numbers = {shard.name: rank[n] for n, shard in enumerate(data.shards)}
    crossed = 0
    for index in range(NUMBER):
        used.clear()
        data[index]
        newest = order.newest[index]
        assert {numbers[name] for name in used} <= {newest - 1, newest}
        crossed += len(set(used)) > 1
    assert crossed > 3


def test_what_is_mashed_up_is_near_and_takes_nothing_from_the_order(packed: Path) -> None:
    data = opened(packed, Augmentation(), window=2)
    order = data.order(0)
    rank = {data.shards[shard].name: place for place, shard in enumerate(order.shards)}
    shard_of = {
        f"{segment.name}@{segment.start}": rank[shard.name]
        for shard in data.shards
        for segment in shard.segments
    }
    met = Met(data)
    others = []
    for index in range(NUMBER):
        others.append(met[UNORDERED + index])
        newest = order.newest[index]
        assert shard_of[others[-1]] in (newest - 1, newest)
    assert others == [met[UNORDERED + index] for index in range(NUMBER)]
    assert len(set(others)) > NUMBER / 3
    assert Counter(met[index] for index in range(NUMBER)) == everything(data)


def test_an_order_passes_shard_after_shard() -> None:
    owner = np.repeat(np.arange(50), 20)
    order = draw_order(0, 3, owner, np.ones(1_000, dtype=np.int64), window=8)
    assert sorted(order.segments) == list(range(1_000))
    rank = np.argsort(order.shards)[owner[order.segments]]
    assert ((order.newest - 8 < rank) & (rank <= order.newest)).all()
    assert (np.diff(order.newest) >= 0).all()
    # in between, segments come from all shards of the window alike
    middle = rank[400:440]
    assert len(set(middle)) >= 7


def test_recordings_have_no_stems(songs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, file in enumerate(sorted(songs.rglob("bass.wav"))):
        (folder / f"{number}.wav").symlink_to(file)
    pack([recognize(folder)], tmp_path / "out", seconds=0.5)
    data = opened(tmp_path / "out")
    for index in range(6):
        item = data[index]
        assert not item.has_stems
        assert not item.stems[:-1].any()
        assert torch.equal(item.mixture, item.stems[-1])
    with pytest.raises(DataError, match="recordings alone"):
        open_data([recognize(tmp_path / "out")], STEMS, SAMPLES, 0, need_stems=True)


def test_a_passage_elsewhere_is_of_the_same_segment(packed: Path) -> None:
    plain = opened(packed, samples=6_000)
    data = opened(packed, samples=8_000, elsewhere=Elsewhere(2_000, 1_000))
    # it takes none of the items: a segment has as many as first passages fit into it
    assert torch.equal(torch.from_numpy(data.visits), torch.from_numpy(plain.visits))
    for index in range(6):
        item = data[index]
        assert torch.equal(item.stems[..., :6_000], plain[index].stems)
        assert item.stems[..., 6_000:].any()


def test_what_cannot_be_trained_on_is_refused(packed: Path) -> None:
    source = recognize(packed)
    with pytest.raises(DataError, match=r"last 0\.5 s, less than an excerpt of 1\.0 s; pack"):
        open_data([source], STEMS, 44_100, 0)
    with pytest.raises(DataError, match="no piano in the data"):
        open_data([source], ("guitar", "piano"), SAMPLES, 0, need_stems=True)
    open_data([source], ("guitar", "drums"), SAMPLES, 0, need_stems=True, split="test")
    some = recognize(f"{packed}/train/{{000000..000001}}.tar")
    with pytest.raises(DataError, match="nothing in the split 'test'"):
        open_data([some], STEMS, SAMPLES, 0, split="test")


@pytest.mark.slow
def test_it_can_be_handed_to_a_spawned_worker(packed: Path) -> None:
    data = opened(f"pipe:cat {packed}/", Augmentation())
    loader = DataLoader(
        RankSlice(data, 0, 8, 4), batch_size=4, num_workers=1, multiprocessing_context="spawn"
    )
    assert same(list(loader), batches(opened(packed, Augmentation()), 0, 0, 8))
