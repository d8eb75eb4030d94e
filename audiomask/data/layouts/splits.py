"""Splits: the assignment of songs and instruments to train, validation and test.

By folders named after the splits, otherwise by a hash of the name, so that a song's split does not
depend on the other data.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from audiomask.data.tracks import SPLITS as SPLITS
from audiomask.data.tracks import TEST as TEST
from audiomask.data.tracks import TRAIN as TRAIN
from audiomask.data.tracks import VALIDATION as VALIDATION

#: splits by folder names in use
_WORDS = {
    "train": TRAIN, "training": TRAIN,
    "validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
#: with fewer names, all are in train
_FEWEST = 10
#: ``<font>-<program>``, a library rendered from a SoundFont
_RENDERED = re.compile(r"^(.+)-\d{3}$")


def folder_split(name: str) -> str | None:
    """The split that a folder is named after, in any case; None for other names."""
    return _WORDS.get(name.casefold())


def share_of(name: str) -> float:
    """A hash of a name in [0, 1), the same on every machine."""
    # macOS decomposes accented letters
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / (1 << 48)


def split_of(name: str) -> str:
    """The split of a name by its hash: 80 % train, 10 % validation, 10 % test."""
    share = share_of(name)
    return TRAIN if share < 0.8 else VALIDATION if share < 0.9 else TEST


def assign(names: Iterable[str]) -> dict[str, str]:
    """The split of each name: ``split_of``, or train for all when there are fewer than ten."""
    distinct = set(names)
    few = len(distinct) < _FEWEST
    return {name: TRAIN if few else split_of(name) for name in sorted(distinct)}


def assign_songs(names: Iterable[str]) -> dict[str, str]:
    """The split of songs named by their paths below a source's folder.

    That of a subfolder named after a split, otherwise by ``assign``.
    """
    placed: dict[str, str | None] = {}
    for name in names:
        first, *rest = PurePosixPath(name).parts
        placed[name] = folder_split(first) if rest else None
    hashed = assign(name for name, split in placed.items() if split is None)
    return {name: split or hashed[name] for name, split in placed.items()}


def library_key(library: Path) -> str:
    """The name that decides an instrument library's split: its SoundFont's, or its own."""
    match = _RENDERED.match(library.name)
    return match[1] if match else library.name


def assign_libraries(libraries: Sequence[Path]) -> dict[Path, str]:
    """The split of each ``<stem>/<library>`` folder of a note bank.

    Libraries rendered from one SoundFont, ``<font>-<three digits>``, share a split, whatever their
    stem, as they may share recordings and rooms. Fewer than ten fonts and libraries are all in
    train.

    Every stem has a library in train: if there is none by hash, the one with the lowest hash is
    moved there, with all others of its font. That depends on the libraries of the stem alone.
    """
    splits = assign(library_key(library) for library in libraries)
    stems: dict[str, set[str]] = {}
    for library in libraries:
        stems.setdefault(library.parent.name, set()).add(library_key(library))
    lacking = [keys for keys in stems.values() if all(splits[key] != TRAIN for key in keys)]
    moved = {min(keys, key=lambda key: (share_of(key), key)) for keys in lacking}
    return {
        library: TRAIN if library_key(library) in moved else splits[library_key(library)]
        for library in libraries
    }
