"""Recorded sources: songs and recordings as files on disk."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from torch.utils.data import Dataset

from audiomask.data.excerpt import Excerpt
from audiomask.data.songs import TrackDataset
from audiomask.data.sources import Contents, ExcerptConfig, Source, identity_of
from audiomask.data.tracks import Track


@dataclass(frozen=True)
class RecordedSource(Source):
    """Songs on disk, with stems or without.

    Attributes:
        tracks: the songs of all splits.
    """

    tracks: tuple[Track, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no track could be read."""
        return not self.tracks

    def contents(self) -> list[Contents]:
        """Its tracks."""
        seconds = sum(track.seconds for track in self.tracks)
        stems = Counter(stem for track in self.tracks for stem in track.stems)
        return [Contents(self.layout, "tracks", self.counts(), seconds, stems)]

    def counts(self) -> Counter[str]:
        """How many tracks each split has."""
        return Counter(track.split for track in self.tracks)

    def identity(self) -> Iterator[bytes]:
        """Names, sizes and times of its files."""
        return identity_of(
            (track.split, file)
            for track in self.tracks
            for group in (*track.stems.values(), (track.mixture,))
            for file in group
            if file is not None
        )

    def has_excerpts(self, split: str) -> bool:
        """Whether a track is in the split."""
        return any(track.split == split for track in self.tracks)

    def open(self, split: str, config: ExcerptConfig) -> Dataset[Excerpt]:
        """Excerpts of the split's tracks; DataError when they last no time."""
        tracks = [track for track in self.tracks if track.split == split]
        return TrackDataset(
            tracks,
            config.stems,
            config.samples,
            config.seed,
            config.augmentation,
            config.sample_rate,
            config.channels,
            config.elsewhere,
        )

    def as_test(self, split: str | None) -> Self:
        """The tracks of a split; they keep its name."""
        kept = tuple(track for track in self.tracks if split in (None, track.split))
        return dataclasses.replace(self, tracks=kept)

    def tracks_to_pack(self) -> tuple[Track, ...]:
        """All tracks."""
        return self.tracks
