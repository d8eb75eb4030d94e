"""Songs to measure, from data of every layout that training takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from audiomask.audio.files import AudioFile
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.augmentation import NONE
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.open import open_data
from audiomask.data.sources import Source
from audiomask.data.tracks import SPLITS, TEST, Track
from audiomask.errors import DataError

#: all splits
ALL = "all"
#: default number of excerpts drawn where there are no songs, and their seconds
_DRAWN, DRAWN_SECONDS = 24, 12.0


@dataclass(frozen=True)
class Song:
    """A mixture and its stems.

    Attributes:
        name: in reports.
        mixture: [C, T].
        stems: [C, T] each, by name; empty if they were not asked for.
        sample_rate: samples a second.
        complete: whether a missing stem is silent; otherwise it is unknown.
    """

    name: str
    mixture: Tensor
    stems: Mapping[str, Tensor]
    sample_rate: int
    complete: bool = True


@dataclass(frozen=True)
class Choice:
    """A choice of songs, and of what to read of them.

    Attributes:
        split: ``train``, ``validation``, ``test`` or ``all``.
        limit: the most songs.
        seconds: of the middle of every song; all of it when None.
        drawn_seconds: of each excerpt that is drawn.
        mono: whether to mix down to one channel.
        stems: names of the stems needed; empty if only the mixture is.
        seed: of drawn excerpts.
        cache: folder of decoded notes.
    """

    split: str
    limit: int | None = None
    seconds: float | None = None
    drawn_seconds: float = DRAWN_SECONDS
    mono: bool = False
    stems: tuple[str, ...] = ()
    seed: int = 0
    cache: Path | None = None

    @property
    def drawn_samples(self) -> int:
        """Samples of each excerpt that is drawn."""
        return round(self.drawn_seconds * DEFAULT_SAMPLE_RATE)


class SongRef(Protocol):
    """A song that has not been read yet."""

    @property
    def place(self) -> Path:
        """Its folder or file, or its name if it has none."""

    @property
    def name(self) -> str:
        """Its name in reports."""

    @property
    def seconds(self) -> float:
        """Seconds that are read."""

    def read(self) -> Song:
        """Read it; raises AudiomaskError."""


@dataclass(frozen=True)
class RecordedSong:
    """A song on disk."""

    track: Track
    source: Source
    choice: Choice
    prefix: str = ""

    @property
    def place(self) -> Path:
        """Its folder, or its file without the suffix."""
        return self.source.folder / self.track.name

    @property
    def name(self) -> str:
        """Its path below the source's folder, that folder's name before it if there are several."""
        return self.prefix + self.track.name

    @property
    def seconds(self) -> float:
        """Seconds that are read."""
        return min(self.track.seconds, self.choice.seconds or self.track.seconds)

    def read(self) -> Song:
        """Read the middle of the song.

        A stem is the sum of its files, and the mixture the sum of all stems if it has no file.

        Raises:
            DataError: its files differ in sample rate or channels.
            AudioFileError: one of them cannot be read.
        """
        track = self.track
        wanted = track.stems if self.choice.stems or track.mixture is None else {}
        groups = {name: list(files) for name, files in wanted.items()}
        first = track.mixture or next(iter(groups.values()))[0]
        with AudioFile(first) as file:
            rate, channels = file.sample_rate, file.channels
        samples, length = round(track.seconds * rate), round(self.seconds * rate)
        start = (samples - length) // 2

        def read(path: Path) -> Tensor:
            with AudioFile(path) as file:
                if (file.sample_rate, file.channels) != (rate, channels):
                    raise DataError(f"{path}: differs from {first} in sample rate or channels")
                audio = file.read(start, start + length)
            return audio.mean(dim=0, keepdim=True) if self.choice.mono else audio

        stems = {
            name: torch.stack([read(file) for file in group]).sum(dim=0)
            for name, group in groups.items()
        }
        if track.mixture is None:
            mixture = torch.stack(list(stems.values())).sum(dim=0)
        else:
            mixture = read(track.mixture)
        kept = stems if self.choice.stems else {}
        return Song(self.name, mixture, kept, rate, self.source.complete)


@dataclass(frozen=True)
class DrawnSong:
    """An excerpt of training data without augmentation, mono.

    From single notes it is a band on the instruments of a split, from tar shards an excerpt of a
    song.
    """

    dataset: InterleavedDataset
    index: int
    kind: str
    complete: bool

    @property
    def place(self) -> Path:
        """Its name, as it has no file."""
        return Path(self.name)

    @property
    def name(self) -> str:
        """``band 1``, ``band 2`` …"""
        return f"{self.kind} {self.index + 1}"

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.dataset.samples / self.dataset.sample_rate

    def read(self) -> Song:
        """Render or read it."""
        excerpt = self.dataset.excerpt(self.index)
        known = bool(excerpt.has_stems)
        names = (*self.dataset.names, "other") if self.dataset.names and known else ()
        stems = dict(zip(names, excerpt.stems, strict=False))
        mixture, rate = excerpt.mixture, self.dataset.sample_rate
        return Song(self.name, mixture, stems, rate, self.complete and known)


def find_songs(sources: Sequence[Source], choice: Choice) -> list[SongRef]:
    """The songs of a choice: recorded ones first, then drawn ones.

    Raises:
        DataError: there are none. The message says which splits have some.
    """
    split = None if choice.split == ALL else choice.split
    chosen = [source.as_test(split) for source in sources]
    tracks = [(track, source) for source in chosen for track in source.tracks]
    refs: list[SongRef] = [
        RecordedSong(track, source, choice, f"{source.folder.name}/" if len(sources) > 1 else "")
        for track, source in tracks
        if track.stems or not choice.stems
    ]
    refs += _draw_bands(chosen, choice)
    for source in chosen:
        if not source.tracks:
            refs += _draw_songs(source, choice)
    if not refs:
        raise _no_songs(sources, choice, recorded=bool(tracks))
    return refs[: choice.limit]


def _draw_bands(sources: Sequence[Source], choice: Choice) -> list[DrawnSong]:
    """Bands on the instruments of sources' test splits; none without instruments."""
    bands = [source for source in sources if any(source.band(TEST))]
    if not any(source.has_instruments for source in bands):
        return []
    dataset = open_data(
        bands, choice.stems, choice.drawn_samples, choice.seed, split=TEST, cache=choice.cache
    )
    return [DrawnSong(dataset, index, "band", True) for index in range(choice.limit or _DRAWN)]


def _draw_songs(source: Source, choice: Choice) -> list[DrawnSong]:
    """Excerpts of a source whose songs are not files; none if it has no songs."""
    found = []
    for split in SPLITS if choice.split == ALL else (choice.split,):
        if not source.has_excerpts(split):
            continue
        dataset = open_data(
            [source],
            choice.stems,
            choice.drawn_samples,
            choice.seed,
            split=split,
            augmentation=NONE,
            cache=choice.cache,
        )
        kind = f"{source.folder.name}/{split} excerpt"
        number = choice.limit or _DRAWN
        found += [DrawnSong(dataset, index, kind, source.complete) for index in range(number)]
    return found


def _no_songs(sources: Sequence[Source], choice: Choice, recorded: bool) -> DataError:
    """The error for a choice without songs.

    Args:
        sources: the data.
        choice: of songs.
        recorded: whether there are recordings without stems.
    """
    names = ", ".join(source.where for source in sources)
    if recorded:
        return DataError(f"{names}: recordings alone; separation is measured on songs with stems")
    counts = sum((source.counts() for source in sources), Counter[str]())
    if not counts:
        return DataError(f"{names}: MIDI songs need instruments to play them: add --data NOTES")
    held = ", ".join(f"{counts[split]} in {split}" for split in SPLITS if counts[split])
    return DataError(
        f"{names}: nothing in the split '{choice.split}' ({held}); "
        "measure all of it with --split all"
    )
