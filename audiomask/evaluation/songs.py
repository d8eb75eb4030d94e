"""Songs to measure on, of every layout that training knows: one split, cut out of their middle."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from audiomask.audio.files import AudioFile
from audiomask.data.augmentation import NONE
from audiomask.data.bands.notes import SAMPLE_RATE
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.layouts.splits import SPLITS, TEST
from audiomask.data.open import open_data
from audiomask.data.tracks import Source, Track
from audiomask.errors import DataError

#: every split together
ALL = "all"
#: how many excerpts are drawn where there are no songs, and their seconds, unless told otherwise
DRAWN, DRAWN_SECONDS = 24, 12.0


@dataclass(frozen=True)
class Song:
    """A mixture and what it is the sum of.

    Attributes:
        name: what it is called in reports.
        mixture: Tensor [C, T].
        stems: Tensor [C, T] each, by name; empty if nobody asked for them.
        sample_rate: samples a second.
        complete: whether a stem that is not there is silent, rather than unknown.
    """

    name: str
    mixture: Tensor
    stems: Mapping[str, Tensor]
    sample_rate: int
    complete: bool = True


@dataclass(frozen=True)
class Choice:
    """Which songs, and what of them.

    Attributes:
        split: ``train``, ``validation``, ``test`` or ``all``.
        limit: at most so many songs.
        seconds: only the middle of every song; all of it when None.
        drawn_seconds: how long what is drawn shall be.
        mono: whether to mix down to one channel.
        stems: what has to be told apart; nothing when the mixture is all that counts.
        seed: decides what is drawn.
        cache: where decoded notes are kept.
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
        """Samples of what is drawn."""
        return round(self.drawn_seconds * SAMPLE_RATE)


class SongRef(Protocol):
    """A song that has not been read yet."""

    @property
    def place(self) -> Path:
        """Its folder or file, or what stands for it in messages."""

    @property
    def name(self) -> str:
        """What it is called in reports."""

    @property
    def seconds(self) -> float:
        """How much of it will be read."""

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
        """How much of it will be read."""
        return min(self.track.seconds, self.choice.seconds or self.track.seconds)

    def read(self) -> Song:
        """The middle of the song; the files of a stem are summed.

        The mixture is the track's own, or the sum of all stems where there is none.

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
    """An excerpt of what training draws from, unvaried and mono.

    Of single notes these are bands that play on the instruments of a split, of tar shards
    passages of songs.
    """

    blend: InterleavedDataset
    index: int
    kind: str
    complete: bool

    @property
    def place(self) -> Path:
        """Its name: it lies nowhere."""
        return Path(self.name)

    @property
    def name(self) -> str:
        """``band 1``, ``band 2`` …"""
        return f"{self.kind} {self.index + 1}"

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.blend.samples / SAMPLE_RATE

    def read(self) -> Song:
        """Make it."""
        excerpt = self.blend.excerpt(self.index)
        known = bool(excerpt.has_stems)
        names = (*self.blend.names, "other") if self.blend.names and known else ()
        stems = {name: stem[None] for name, stem in zip(names, excerpt.stems, strict=False)}
        return Song(self.name, excerpt.mixture[None], stems, SAMPLE_RATE, self.complete and known)


def find_songs(sources: Sequence[Source], choice: Choice) -> list[SongRef]:
    """The songs of a choice: recorded ones first, then what has to be drawn.

    Raises:
        DataError: there are none, and where there are some.
    """
    chosen = [of_split(source, choice.split) for source in sources]
    tracks = [(track, source) for source in chosen for track in source.tracks]
    songs_found: list[SongRef] = [
        RecordedSong(track, source, choice, f"{source.folder.name}/" if len(sources) > 1 else "")
        for track, source in tracks
        if track.stems or not choice.stems
    ]
    songs_found += draw_bands(chosen, choice)
    for source in chosen:
        songs_found += draw_packed(source, choice)
    if not songs_found:
        raise nothing(sources, choice, recorded=bool(tracks))
    return songs_found[: choice.limit]


def draw_bands(sources: Sequence[Source], choice: Choice) -> list[DrawnSong]:
    """Bands on the instruments of sources, as ``of_split`` gives them; none if there are none."""
    if not any(source.libraries or source.fonts for source in sources):
        return []
    bare = [dataclasses.replace(source, tracks=(), shards=None) for source in sources]
    blend = open_data(
        bare, choice.stems, choice.drawn_samples, choice.seed, split=TEST, cache=choice.cache
    )
    return [DrawnSong(blend, index, "band", True) for index in range(choice.limit or DRAWN)]


def draw_packed(source: Source, choice: Choice) -> list[DrawnSong]:
    """Excerpts of the songs that a source has packed into shards; none if there are none."""
    if source.shards is None:
        return []
    found = []
    for split in SPLITS if choice.split == ALL else (choice.split,):
        if not source.shards.manifest.of(split):
            continue
        blend = open_data(
            [Source(source.folder, source.layout, shards=source.shards)],
            choice.stems,
            choice.drawn_samples,
            choice.seed,
            split=split,
            augmentation=NONE,
            cache=choice.cache,
        )
        kind = f"{source.folder.name}/{split} excerpt"
        number = choice.limit or DRAWN
        found += [DrawnSong(blend, index, kind, source.complete) for index in range(number)]
    return found


def of_split(source: Source, split: str) -> Source:
    """A source with what is in one split of it, all of it called test; or in any split."""

    def keep(given: str) -> bool:
        return split in (ALL, given)

    return dataclasses.replace(
        source,
        tracks=tuple(track for track in source.tracks if keep(track.split)),
        libraries=tuple((path, TEST) for path, of in source.libraries if keep(of)),
        songs=tuple((path, TEST) for path, of in source.songs if keep(of)),
        fonts=tuple((path, TEST) for path, of in source.fonts if keep(of)),
    )


def nothing(sources: Sequence[Source], choice: Choice, recorded: bool) -> DataError:
    """The error that there is no song of a choice.

    Args:
        sources: what was looked through.
        choice: what for.
        recorded: whether there were recordings, of which no stems are known.
    """
    names = ", ".join(source.where for source in sources)
    if recorded:
        return DataError(f"{names}: recordings alone; separation is measured on songs with stems")
    counts: Counter[str] = Counter()
    for source in sources:
        counts.update(track.split for track in source.tracks)
        counts.update(of for _, of in (*source.libraries, *source.fonts))
        if source.shards is not None:
            counts.update(shard.split for shard in source.shards.manifest.shards)
    if not counts:
        return DataError(f"{names}: MIDI songs need instruments to play them: add --data NOTES")
    held = ", ".join(f"{counts[split]} in {split}" for split in SPLITS if counts[split])
    return DataError(
        f"{names}: nothing in the split '{choice.split}' ({held}); "
        "measure all of it with --split all"
    )
