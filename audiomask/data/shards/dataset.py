"""Shard data set: excerpts of segments in shards, in an order with few shards in use at a time.

Items are decided by their index, so that a seed gives the same batches for any number of workers
and processes, and a resumed run continues where it was. A plain stream cannot do that, as batches
would depend on which worker reads which shard. The order is decided by (seed, epoch), like that of
a stream through a shuffle buffer: shards one after the other, their segments mixed with those of
neighbouring shards. ``shards.json`` gives the offset of each member, so that single ones are read.

From a folder, also on a network drive, each worker reads only its own items. A streamed shard is
read by webdataset from start to end, once for all workers of a machine, and removed when the order
has passed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import UNORDERED, Elsewhere, Excerpt
from audiomask.data.mixing import Mixer
from audiomask.data.shards.address import Shards
from audiomask.data.shards.manifest import Member, Segment
from audiomask.data.shards.store import CachedRemoteStore, FolderStore, MemberReader, Store
from audiomask.errors import DataError

_Numbers = npt.NDArray[Any]

#: shards that are mixed with each other
_WINDOW = 8
#: further shards kept of a stream: the next one, and some for slower workers
_SPARE = 3


class _Order(NamedTuple):
    """One epoch.

    Attributes:
        shards: the shards in order.
        segments: [items], the segment of each item.
        newest: [items], position in ``shards`` of the last one that the item may need.
    """

    shards: _Numbers
    segments: _Numbers
    newest: _Numbers


def draw_order(seed: int, epoch: int, owner: _Numbers, visits: _Numbers, window: int) -> _Order:
    """The order of an epoch.

    Args:
        seed, epoch: decide the order.
        owner: the shard of every segment, from 0.
        visits: items of each segment in an epoch.
        window: shards that are mixed with each other.
    """
    rng = np.random.default_rng([seed, epoch, 4])
    shards = rng.permutation(int(owner.max()) + 1)
    rank = np.argsort(shards)
    segments = np.repeat(np.arange(len(owner)), visits)
    when = rank[owner[segments]] + rng.uniform(0, window, len(segments))
    order = np.argsort(when, kind="stable")
    newest = np.minimum(when[order].astype(np.int64), len(shards) - 1)
    return _Order(shards, segments[order], newest)


class ShardDataset(Dataset[Excerpt]):
    """Excerpts of the segments of one split: mixture and stems.

    In an epoch every segment gives as many items as excerpts fit into it, at least one. Epochs
    follow each other endlessly. Stems are mixed across songs of neighbouring shards. An index from
    ``UNORDERED`` on is a random segment near that of the index less it: it needs no further shard.

    Args:
        shards: their address and contents.
        split: ``train``, ``validation`` or ``test``.
        stems: the stems to distinguish; a segment's others are summed in the last place.
        samples: length of an excerpt.
        seed: an excerpt is decided by (seed, index).
        augmentation: of the excerpts; with ``NONE`` they keep their level as well.
        sample_rate: of the excerpts, in Hz.
        channels: of the excerpts, 1 or 2.
        elsewhere: a second passage of the same segment at their end; None for none.
        cache: folder of streamed shards, for all processes of a machine; a temporary one of this
            process by default.
        every: number of data sets that share the indices; this one gets every ``every``-th.
        window: shards that are mixed with each other.

    Raises:
        DataError: the split is empty, or its segments are shorter than an excerpt.
    """

    def __init__(
        self,
        shards: Shards,
        split: str,
        stems: Sequence[str],
        samples: int,
        seed: int,
        augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        channels: int = 1,
        elsewhere: Elsewhere | None = None,
        *,
        cache: Path | None = None,
        every: int = 1,
        window: int = _WINDOW,
    ) -> None:
        self.seed, self.every, self.window = seed, every, window
        self.shards = shards.manifest.of(split)
        self.segments = [segment for shard in self.shards for segment in shard.segments]
        if not self.segments:
            raise DataError(f"{shards.address.text}: nothing in the split '{split}'")
        length = samples - (0 if elsewhere is None else elsewhere.samples)
        seconds = np.array([segment.seconds for segment in self.segments])
        if np.median(seconds) < length / sample_rate:
            raise DataError(
                f"{shards.address.text}: its segments last {np.median(seconds):.1f} s, less than "
                f"an excerpt of {length / sample_rate:.1f} s; pack the songs in longer ones"
            )
        self.visits = np.maximum(seconds * sample_rate // length, 1).astype(np.int64)
        self.items = int(self.visits.sum())
        self.owner = np.repeat(
            np.arange(len(self.shards)), [len(shard.segments) for shard in self.shards]
        )
        self.store = _store_of(shards, split, cache, window + _SPARE)
        read = MemberReader(self.store, shards.address, sample_rate).read
        self.mixer: Mixer[Member] = Mixer(
            stems, samples, augmentation, read, sample_rate, channels, elsewhere
        )
        self.owners = [self.find_owners(slot) for slot in range(len(stems) + 1)]
        self.orders: dict[int, _Order] = {}

    def __len__(self) -> int:
        return 1 << 30  # endless: epoch follows epoch

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        epoch, place = divmod(index % UNORDERED // self.every, self.items)
        order = self.order(epoch)
        newest = int(order.newest[place])
        if newest + 1 < len(order.shards):
            self.store.prefetch(self.shards[order.shards[newest + 1]].name)
        near = order.shards[max(newest - self.window + 1, 0) : newest + 1]

        def other_song(slot: int, rng: np.random.Generator) -> Segment | None:
            found = np.concatenate([self.owners[slot][shard] for shard in near])
            return self.segments[found[rng.integers(len(found))]] if len(found) else None

        number = order.segments[place]
        if index >= UNORDERED:
            number = rng.choice(np.flatnonzero(np.isin(self.owner, near)))
        made = self.mixer.make(self.segments[number], other_song, rng)
        assert made is not None  # an unreadable member raises
        return made

    def order(self, epoch: int) -> _Order:
        """The order of an epoch; the last two are cached."""
        if epoch not in self.orders:
            while len(self.orders) > 1:
                del self.orders[min(self.orders)]
            self.orders[epoch] = draw_order(self.seed, epoch, self.owner, self.visits, self.window)
        return self.orders[epoch]

    def find_owners(self, slot: int) -> list[_Numbers]:
        """For each shard, the segments that have files for a place of the excerpt."""
        has = [bool(self.mixer.files(segment, slot)) for segment in self.segments]
        numbers = np.flatnonzero(has)
        ends = np.searchsorted(self.owner[numbers], np.arange(1, len(self.shards)))
        return np.split(numbers, ends)


def _store_of(shards: Shards, split: str, cache: Path | None, keep: int) -> Store:
    """The store of a split's shards."""
    if not shards.address.streamed:
        return FolderStore(shards.address)
    folder = None if cache is None else cache / f"shards-{shards.manifest.fingerprint}"
    return CachedRemoteStore(shards.address, shards.manifest.of(split), keep, folder)
