"""Bank sources: single notes, MIDI songs and SoundFonts, which bands are made of."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from audiomask.data.sources import BandMaterial, Contents, Source, identity_of
from audiomask.data.stem_names import stem_name
from audiomask.data.tracks import TEST

BANK, SONGS, FONTS = "note bank", "MIDI songs", "SoundFonts"

#: paths with their splits
_Placed = tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class BankSource(Source):
    """What bands are made of.

    Attributes:
        libraries: instrument libraries of a note bank, ``<stem>/<library>``, with their splits.
        songs: MIDI files with their splits.
        fonts: SoundFonts with their splits.
    """

    libraries: _Placed = ()
    songs: _Placed = ()
    fonts: _Placed = ()

    @property
    def knows_stems(self) -> bool:
        """Not of SoundFonts: what they hold is seen when they are rendered."""
        return not self.fonts

    @property
    def has_instruments(self) -> bool:
        """Whether there is more than MIDI songs."""
        return bool(self.libraries or self.fonts)

    def contents(self) -> list[Contents]:
        """Its instruments, songs and fonts."""
        stems = Counter(stem_name(library.parent.name) for library, _ in self.libraries)
        kinds = [
            Contents(BANK, "instruments", _splits(self.libraries), math.inf, stems),
            Contents(SONGS, "songs", _splits(self.songs), None, Counter()),
            Contents(FONTS, "fonts", _splits(self.fonts), math.inf, Counter()),
        ]
        return [kind for kind in kinds if kind.splits]

    def counts(self) -> Counter[str]:
        """How many instruments and fonts each split has; MIDI songs alone cannot be heard."""
        return _splits((*self.libraries, *self.fonts))

    def identity(self) -> Iterator[bytes]:
        """What changes when a file does."""
        yield from identity_of((split, file) for file, split in (*self.songs, *self.fonts))
        for library, split in self.libraries:
            yield from identity_of((split, file) for file in sorted(library.iterdir()))

    def band(self, split: str) -> BandMaterial:
        """The libraries, songs and fonts of a split."""
        kinds = (self.libraries, self.songs, self.fonts)
        return BandMaterial(*(tuple(path for path, of in kind if of == split) for kind in kinds))

    def check_stems(self, stems: Sequence[str]) -> None:
        """Bands tell all stems apart."""

    def as_test(self, split: str | None) -> Self:
        """What is in a split, or in any, all of it in the test split."""

        def kept(found: _Placed) -> _Placed:
            return tuple((path, TEST) for path, of in found if split in (None, of))

        return dataclasses.replace(
            self,
            libraries=kept(self.libraries),
            songs=kept(self.songs),
            fonts=kept(self.fonts),
        )


def _splits(found: Iterable[tuple[Path, str]]) -> Counter[str]:
    """How many of them are in each split."""
    return Counter(split for _, split in found)
