"""Songs: an endless set of excerpts of tracks on disk, varied from visit to visit.

An item is decided by (seed, index) alone, so that any number of workers gives the same data and a
resumed run repeats none. Only what an item needs is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.data.mixing import Mixer
from audiomask.data.reading import Reader
from audiomask.data.tracks import Track
from audiomask.errors import DataError

#: how many draws of one item may meet unreadable files
ATTEMPTS = 100


class DurationWeightedSampler:
    """Tracks to draw from, each as often as it is long.

    Raises:
        DataError: all of them last no time.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.tracks = tracks
        self.until = np.cumsum([track.seconds for track in tracks])
        if not self.until[-1] > 0:
            raise DataError(f"{tracks[0].name}: lasts no time, and so do all others")

    def draw(self, rng: np.random.Generator) -> Track:
        """One track."""
        second = rng.uniform(0, self.until[-1])
        return self.tracks[int(np.searchsorted(self.until[:-1], second, side="right"))]


class TrackDataset(Dataset[Excerpt]):
    """Excerpts of tracks: mixture and stems.

    A file that cannot be read is named once, and its song's excerpts are replaced by others.

    Args:
        tracks: songs with stems, plain recordings, or both.
        stems: the stems to tell apart; a track's others are summed in the last place.
        samples: length of an excerpt.
        seed: with the index, decides everything.
        augmentation: how excerpts are varied; with ``NONE`` they keep their level as well.
        sample_rate: of the excerpts.
        channels: of the excerpts, 1 or 2.

    Raises:
        DataError: the tracks last no time; while reading, nothing of them can be read.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        stems: Sequence[str],
        samples: int,
        seed: int,
        augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        channels: int = 1,
    ) -> None:
        self.seed = seed
        self.sampler = DurationWeightedSampler(tracks)
        files = [file for track in tracks for paths in track.stems.values() for file in paths]
        files += [track.mixture for track in tracks if track.mixture and not track.stems]
        self.folder = os.path.commonpath([file.parent for file in files])
        read = Reader(files, sample_rate).read
        self.mixer: Mixer[Path] = Mixer(stems, samples, augmentation, read, sample_rate, channels)
        # who has what for each place, for random mixing
        slots = range(len(stems) + 1)
        owners = [[track for track in tracks if self.mixer.files(track, slot)] for slot in slots]
        self.owners = [DurationWeightedSampler(found) if found else None for found in owners]

    def __len__(self) -> int:
        return 1 << 30  # endless: every index is another excerpt

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        for _ in range(ATTEMPTS):
            made = self.mixer.make(self.sampler.draw(rng), self.other_song, rng)
            if made is not None:
                return made
        raise DataError(f"nothing in {self.folder} could be read, {ATTEMPTS} times in a row")

    def other_song(self, slot: int, rng: np.random.Generator) -> Track | None:
        """A track that has something for a place; None when no track has."""
        owners = self.owners[slot]
        return None if owners is None else owners.draw(rng)
