"""Bank sources: note banks, MIDI songs and SoundFonts, from which bands are rendered."""

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
_SplitPaths = tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class BankSource(Source):
    """Material for bands.

    Attributes:
        libraries: instrument libraries of a note bank, ``<stem>/<library>``, with their splits.
        songs: MIDI files with their splits.
        fonts: SoundFonts with their splits.
    """

    libraries: _SplitPaths = ()
    songs: _SplitPaths = ()
    fonts: _SplitPaths = ()

    @property
    def knows_stems(self) -> bool:
        """False for SoundFonts, whose stems are known once they are rendered."""
        return not self.fonts

    @property
    def has_instruments(self) -> bool:
        """Whether it has more than MIDI songs."""
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
        """How many instruments and fonts each split has; MIDI songs make no sound of their own."""
        return _splits((*self.libraries, *self.fonts))

    def identity(self) -> Iterator[bytes]:
        """Names, sizes and times of its files."""
        yield from identity_of((split, file) for file, split in (*self.songs, *self.fonts))
        for library, split in self.libraries:
            yield from identity_of((split, file) for file in sorted(library.iterdir()))

    def band(self, split: str) -> BandMaterial:
        """The libraries, songs and fonts of a split."""
        kinds = (self.libraries, self.songs, self.fonts)
        return BandMaterial(*(tuple(path for path, of in kind if of == split) for kind in kinds))

    def check_stems(self, stems: Sequence[str]) -> None:
        """Nothing to check: bands have all stems separately."""

    def as_test(self, split: str | None) -> Self:
        """The contents of a split, or of all, moved to the test split."""

        def moved(found: _SplitPaths) -> _SplitPaths:
            return tuple((path, TEST) for path, of in found if split in (None, of))

        return dataclasses.replace(
            self,
            libraries=moved(self.libraries),
            songs=moved(self.songs),
            fonts=moved(self.fonts),
        )


def _splits(found: Iterable[tuple[Path, str]]) -> Counter[str]:
    """How many of them are in each split."""
    return Counter(split for _, split in found)
