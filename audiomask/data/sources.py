"""Sources: the contents of one ``--data`` folder or address, behind one interface.

Each layout returns one of the subclasses: ``RecordedSource`` for songs on disk, ``BankSource`` for
band material, ``ShardSource`` for packed songs.
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
from audiomask.data.excerpt import Elsewhere, Excerpt
from audiomask.data.tracks import Track
from audiomask.errors import DataError, why


@dataclass(frozen=True)
class ExcerptConfig:
    """Settings of excerpts drawn from songs.

    Attributes:
        stems: the stems to distinguish.
        samples: length of an excerpt.
        seed: an excerpt is decided by (seed, index).
        augmentation: of the excerpts.
        sample_rate: of the excerpts, in Hz.
        cache: folder for streamed shards.
        every: number of data sets that share the indices; this one gets every ``every``-th.
        channels: of the excerpts, 1 or 2.
        elsewhere: a second passage at their end; None for none.
    """

    stems: Sequence[str]
    samples: int
    seed: int
    augmentation: Augmentation
    sample_rate: int
    cache: Path | None = None
    every: int = 1
    channels: int = 1
    elsewhere: Elsewhere | None = None


class BandMaterial(NamedTuple):
    """Band material: folders of single notes, MIDI songs and SoundFonts."""

    libraries: tuple[Path, ...] = ()
    songs: tuple[Path, ...] = ()
    fonts: tuple[Path, ...] = ()


class Contents(NamedTuple):
    """A summary of a source's items of one kind.

    Attributes:
        layout: the layout's name.
        unit: what is counted, in the plural.
        splits: number of items by split.
        seconds: total duration; infinity for endless data, None for items without sound.
        stems: number of items by stem.
    """

    layout: str
    unit: str
    splits: Counter[str]
    seconds: float | None
    stems: Counter[str]


@dataclass(frozen=True)
class Source(ABC):
    """The contents of one folder or address.

    Attributes:
        folder: the folder; of an address, the part before its files' names.
        layout: the layout's name (``Slakh2100``, ``note bank`` …).
        complete: whether a stem that a song does not have is silent in it. Not in MUSDB18-HQ, whose
            ``other`` contains guitars and pianos.
        problems: lines about files that are left out.
    """

    folder: Path
    layout: str
    complete: bool = field(default=True, kw_only=True)
    problems: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def where(self) -> str:
        """Its name in messages."""
        return str(self.folder)

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems' names, sorted, over all splits."""
        return tuple(sorted({stem for kind in self.contents() for stem in kind.stems}))

    @property
    def knows_stems(self) -> bool:
        """Whether ``stems`` is complete."""
        return True

    @property
    def has_instruments(self) -> bool:
        """Whether it has instruments for bands."""
        return False

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Its songs, if they are whole files on disk."""
        return ()

    @property
    def is_empty(self) -> bool:
        """Whether the layout was recognized but nothing is usable."""
        return False

    @abstractmethod
    def contents(self) -> list[Contents]:
        """Summaries of its items by kind."""

    @abstractmethod
    def counts(self) -> Counter[str]:
        """Number of sounding items by split."""

    @abstractmethod
    def identity(self) -> Iterator[bytes]:
        """Bytes that change when its files do.

        Raises:
            DataError: a file no longer exists.
        """

    def band(self, split: str) -> BandMaterial:
        """Its band material of a split."""
        return BandMaterial()

    def has_excerpts(self, split: str) -> bool:
        """Whether it has songs in a split."""
        return False

    def open(self, split: str, config: ExcerptConfig) -> Dataset[Excerpt]:
        """A data set of excerpts of a split's songs.

        Raises:
            DataError: there are none, or they are too short.
        """
        raise DataError(f"{self.where}: {self.layout} have no songs to draw from")

    def as_test(self, split: str | None) -> Self:
        """Its items of one split, or of all for None; band material becomes the test split."""
        return self

    def check_stems(self, stems: Sequence[str]) -> None:
        """Refuse stems that its songs do not distinguish.

        Raises:
            DataError: it has no stems, or mixes one of them with others.
        """
        if not self.stems:
            raise DataError(
                f"{self.where}: recordings alone, but the model learns to separate as well; give "
                "it songs with stems or a note bank"
            )
        hidden = [stem for stem in stems if stem not in self.stems]
        if not self.complete and hidden:
            raise DataError(
                f"{self.where}: {self.layout} does not separate {hidden[0]} from the rest; add "
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
    """Splits, names, sizes and times of files, as bytes.

    Raises:
        DataError: a file no longer exists.
    """
    for split, file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"{file}: no longer exists ({why(error)})") from error
        yield repr((split, file.name, status.st_size, status.st_mtime_ns)).encode()


def signature(sources: Sequence[Source]) -> str:
    """A fingerprint of the data: of its files' names, sizes, times and splits.

    Raises:
        DataError: a file no longer exists.
    """
    known = hashlib.sha256()
    for source in sources:
        for entry in source.identity():
            known.update(entry)
    return known.hexdigest()[:16]
