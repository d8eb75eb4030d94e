"""The vocabulary: codes first, then MASK, PAD and the SEPs."""

import pytest

from audiomask.errors import UsageError
from audiomask.networks.mlm.vocabulary import Vocabulary


def test_ids() -> None:
    vocabulary = Vocabulary(1024, ["guitar", "piano", "bass"])
    assert (vocabulary.mask, vocabulary.pad) == (1024, 1025)
    assert [vocabulary.sep(name) for name in ("guitar", "piano", "bass")] == [1026, 1027, 1028]
    assert vocabulary.stem("bass") == 2
    assert len(vocabulary) == 1024 + 2 + 3


def test_an_unknown_stem_is_named_with_the_known_ones() -> None:
    vocabulary = Vocabulary(8, ["guitar", "piano"])
    for ask in (vocabulary.stem, vocabulary.sep):
        with pytest.raises(UsageError, match=r"'tuba'.*guitar, piano"):
            ask("tuba")
