"""Vocabulary: the codes of a codebook, then MASK, PAD and one SEP per stem."""

from __future__ import annotations

from collections.abc import Sequence

from audiomask.errors import UsageError


class Vocabulary:
    """Token ids, the same for every level.

    Ids 0 to K − 1 are codes; MASK is K, PAD is K + 1, the SEP of stem i is K + 2 + i.
    """

    def __init__(self, codebook_size: int, stems: Sequence[str]) -> None:
        self.codebook_size = codebook_size
        self.stems = tuple(stems)
        self.mask = codebook_size
        self.pad = codebook_size + 1

    def __len__(self) -> int:
        return self.codebook_size + 2 + len(self.stems)

    def stem(self, name: str) -> int:
        """Index of a stem.

        Raises:
            UsageError: there is no such stem.
        """
        try:
            return self.stems.index(name)
        except ValueError:
            known = ", ".join(self.stems)
            raise UsageError(f"unknown stem '{name}' (this model knows: {known})") from None

    def sep(self, name: str) -> int:
        """The id of a stem's SEP token; raises UsageError."""
        return self.codebook_size + 2 + self.stem(name)
