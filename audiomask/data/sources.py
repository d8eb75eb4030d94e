"""Sources: what one ``--data`` folder or address holds, behind one interface.

A layout finds a folder's files and makes one of the subclasses of them: ``RecordedSource`` of songs
on disk, ``BankSource`` of what bands are made of, ``ShardSource`` of packed songs. What reads the
data asks the source alone.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from torch.utils.data import Dataset

from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.data.tracks import Track
from audiomask.errors import DataError, why


@dataclass(frozen=True)
class ExcerptConfig:
    """Which excerpts are drawn from songs.

    Attributes:
        stems: the stems to tell apart.
        samples: length of an excerpt.
        seed: decides everything, together with the index of an excerpt.
        augmentation: how excerpts are varied.
        sample_rate: theirs.
        cache: a folder where what comes as a stream is kept for a while.
        every: only every so many indices are of the data set, one of each so many in a row.
        channels: of the excerpts, 1 or 2.
    """

    stems: Sequence[str]
    samples: int
    seed: int
    augmentation: Augmentation
    sample_rate: int
    cache: Path | None = None
    every: int = 1
    channels: int = 1


class BandMaterial(NamedTuple):
    """What bands are made of: folders of single notes, MIDI songs and SoundFonts."""

    libraries: tuple[Path, ...] = ()
    songs: tuple[Path, ...] = ()
    fonts: tuple[Path, ...] = ()


class Contents(NamedTuple):
    """One kind of thing that a source holds.

    Attributes:
        layout: what it is, in words.
        unit: what is counted, in the plural.
        splits: how many there are in each split.
        seconds: how long they are together; infinity for endless ones, None for those that do not
            sound by themselves.
        stems: how many have each stem.
    """

    layout: str
    unit: str
    splits: Counter[str]
    seconds: float | None
    stems: Counter[str]


@dataclass(frozen=True)
class Source(ABC):
    """What was found in one folder or at one address.

    Attributes:
        folder: the folder; of an address, what comes before the names of its files.
        layout: what it was recognized as, in words (``Slakh2100``, ``note bank`` …).
        complete: whether a stem that a song does not name is silent in it. MUSDB18-HQ's
            ``other`` hides guitars and pianos: there it is not.
        problems: one line for everything that had to be left out.
    """

    folder: Path
    layout: str
    complete: bool = field(default=True, kw_only=True)
    problems: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def where(self) -> str:
        """What to call it in messages."""
        return str(self.folder)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems' names, sorted, over all splits."""
        return tuple(sorted({stem for kind in self.contents() for stem in kind.stems}))

    @property
    def knows_stems(self) -> bool:
        """Whether ``stems`` is all there is."""
        return True

    @property
    def has_instruments(self) -> bool:
        """Whether bands can be played with what it holds."""
        return False

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Its songs, where they lie on disk as whole files."""
        return ()

    @property
    def is_empty(self) -> bool:
        """Whether the layout was recognized, and yet nothing of it can be used."""
        return False

    @abstractmethod
    def contents(self) -> list[Contents]:
        """What it holds, an entry for each kind of thing."""

    @abstractmethod
    def counts(self) -> Counter[str]:
        """How much that can be heard each split has."""

    @abstractmethod
    def identity(self) -> Iterator[bytes]:
        """What changes when its files do.

        Raises:
            DataError: a file has gone since it was found.
        """

    def band(self, split: str) -> BandMaterial:
        """What it has of a split for bands."""
        return BandMaterial()

    def has_excerpts(self, split: str) -> bool:
        """Whether excerpts of its songs can be drawn from a split."""
        return False

    def open(self, split: str, config: ExcerptConfig) -> Dataset[Excerpt]:
        """Excerpts of its songs; only where ``has_excerpts``.

        Raises:
            DataError: nothing can be drawn from them.
        """
        raise DataError(f"{self.where}: {self.layout} have no songs to draw from")

    def as_test(self, split: str | None) -> Self:
        """What it holds in one split, or in any for None; of a band's parts, as its test split."""
        return self

    def check_stems(self, stems: Sequence[str]) -> None:
        """Refuse to learn stems that its songs do not tell apart.

        Raises:
            DataError: it has recordings alone, or hides one of the stems.
        """
        if not self.stems:
            raise DataError(
                f"{self.where}: recordings alone, but the MLM learns to separate as well; give "
                "it songs with stems or a note bank"
            )
        hidden = [stem for stem in stems if stem not in self.stems]
        if not self.complete and hidden:
            raise DataError(
                f"{self.where}: {self.layout} does not tell {hidden[0]} from the rest; add "
                f"--set stems={','.join(self.stems)}"
            )

    def tracks_to_pack(self) -> tuple[Track, ...]:
        """The songs that ``pack`` makes shards of.

        Raises:
            DataError: there are none.
        """
        raise DataError(
            f"{self.where}: {self.layout} are not packed, only songs and recordings are; "
            "give them beside the shards when training"
        )


def identity_of(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """What changes with files, each with its split: their names, sizes and times.

    Raises:
        DataError: a file has gone.
    """
    for split, file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"{file}: has gone ({why(error)})") from error
        yield repr((split, file.name, status.st_size, status.st_mtime_ns)).encode()


def signature(sources: Sequence[Source]) -> str:
    """A name for the data as it is: other files, sizes, times or splits give another.

    Raises:
        DataError: a file has gone since it was found.
    """
    known = hashlib.sha256()
    for source in sources:
        for entry in source.identity():
            known.update(entry)
    return known.hexdigest()[:16]
