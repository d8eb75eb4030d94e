"""Shard sources: songs packed into tar shards, in a folder or at an address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import Dataset

from audiomask.data.excerpt import Excerpt
from audiomask.data.shards.address import Shards
from audiomask.data.shards.dataset import ShardDataset
from audiomask.data.sources import Contents, ExcerptConfig, Source
from audiomask.data.tracks import Track
from audiomask.errors import DataError


@dataclass(frozen=True)
class ShardSource(Source):
    """Packed songs.

    Attributes:
        shards: their address and contents.
    """

    shards: Shards

    @property
    def where(self) -> str:
        """The shards' address."""
        return self.shards.address.text

    def contents(self) -> list[Contents]:
        """Its segments."""
        manifest = self.shards.manifest
        splits = Counter(shard.split for shard in manifest.shards for _ in shard.segments)
        return [Contents(self.layout, "segments", splits, manifest.seconds, manifest.stems)]

    def counts(self) -> Counter[str]:
        """Number of shards by split."""
        return Counter(shard.split for shard in self.shards.manifest.shards)

    def identity(self) -> Iterator[bytes]:
        """The manifest's fingerprint."""
        yield self.shards.manifest.fingerprint.encode()

    def has_excerpts(self, split: str) -> bool:
        """Whether a shard is of the split."""
        return bool(self.shards.manifest.of(split))

    def open(self, split: str, config: ExcerptConfig) -> Dataset[Excerpt]:
        """Excerpts of the split's segments; DataError when these are shorter than an excerpt."""
        return ShardDataset(
            self.shards,
            split,
            config.stems,
            config.samples,
            config.seed,
            config.augmentation,
            config.sample_rate,
            config.channels,
            config.elsewhere,
            cache=config.cache,
            every=config.every,
        )

    def tracks_to_pack(self) -> tuple[Track, ...]:
        """Raises DataError: shards are packed already."""
        raise DataError(f"{self.where}: is packed already")
