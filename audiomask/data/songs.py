"""Track data set: excerpts of tracks on disk, with augmentation.

(seed, index) alone decide an item, so any number of workers gives the same data and a resumed run
repeats none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Elsewhere, Excerpt
from audiomask.data.mixing import Mixer
from audiomask.data.reading import Reader
from audiomask.data.tracks import Track
from audiomask.errors import DataError

#: tracks tried for one item, if they cannot be read
_ATTEMPTS = 100


class DurationWeightedSampler:
    """Samples tracks with probabilities proportional to their durations.

    Raises:
        DataError: all durations are 0.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.tracks = tracks
        self._until = np.cumsum([track.seconds for track in tracks])
        if not self._until[-1] > 0:
            raise DataError(f"{tracks[0].name}: has no duration, nor have the others")

    def sample(self, rng: np.random.Generator) -> Track:
        """A random track."""
        second = rng.uniform(0, self._until[-1])
        return self.tracks[int(np.searchsorted(self._until[:-1], second, side="right"))]


class TrackDataset(Dataset[Excerpt]):
    """Excerpts of tracks, endless and without an order.

    An unreadable file is logged once, and its song's excerpts are replaced by others.

    Args:
        tracks: songs with stems, plain recordings, or both.
        stems: the named stems; a track's others are summed in the last place.
        samples: length of an excerpt.
        seed: an excerpt is decided by (seed, index).
        augmentation: of the excerpts; with ``NONE`` they also keep their level.
        sample_rate: of the excerpts, in Hz.
        channels: of the excerpts, 1 or 2.
        elsewhere: a second passage at their end; None for none.

    Raises:
        DataError: all durations are 0; when reading, no track can be read.
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
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.seed = seed
        self.sampler = DurationWeightedSampler(tracks)
        files = [file for track in tracks for paths in track.stems.values() for file in paths]
        files += [track.mixture for track in tracks if track.mixture and not track.stems]
        self.folder = os.path.commonpath([file.parent for file in files])
        read = Reader(files, sample_rate).read
        self.mixer: Mixer[Path] = Mixer(
            stems, samples, augmentation, read, sample_rate, channels, elsewhere
        )
        # the tracks with files for each place, for random mixing
        slots = range(len(stems) + 1)
        owners = [[track for track in tracks if self.mixer.files(track, slot)] for slot in slots]
        self.owners = [DurationWeightedSampler(found) if found else None for found in owners]

    def __len__(self) -> int:
        return 1 << 30  # endless: every index gives another excerpt

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        for _ in range(_ATTEMPTS):
            made = self.mixer.make(self.sampler.sample(rng), self.other_song, rng)
            if made is not None:
                return made
        raise DataError(f"{self.folder}: none of {_ATTEMPTS} tracks in a row could be read")

    def other_song(self, slot: int, rng: np.random.Generator) -> Track | None:
        """A track with files for a place; None if there is none."""
        owners = self.owners[slot]
        return None if owners is None else owners.sample(rng)
