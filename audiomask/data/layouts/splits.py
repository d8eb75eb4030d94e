"""Splits: which songs and instruments are trained on, and which are kept to measure on.

Folders named after the splits decide. Without them a hash of the name does, so that a song stays
where it is whatever is added to the data or removed from it.
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

#: what people call the folders of the splits
WORDS = {
    "train": TRAIN, "training": TRAIN,
    "validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST,
}  # fmt: skip
#: fewer names than this are too few to keep any from training
FEWEST = 10
#: ``<font>-<program>``, a library rendered from a SoundFont
RENDERED = re.compile(r"^(.+)-\d{3}$")


def folder_split(name: str) -> str | None:
    """The split that a folder's name stands for, in upper or lower case; None for other names."""
    return WORDS.get(name.casefold())


def share_of(name: str) -> float:
    """A number in [0, 1) that a name alone decides, the same on every machine."""
    # macOS writes an accented letter as two characters, where others write one
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / (1 << 48)


def split_of(name: str) -> str:
    """The split of a name: of all names 80 % are in train, 10 % in validation, 10 % in test."""
    share = share_of(name)
    return TRAIN if share < 0.8 else VALIDATION if share < 0.9 else TEST


def assign(names: Iterable[str]) -> dict[str, str]:
    """The split of each name: ``split_of``, or train for all when there are fewer than ten."""
    distinct = set(names)
    few = len(distinct) < FEWEST
    return {name: TRAIN if few else split_of(name) for name in sorted(distinct)}


def assign_songs(names: Iterable[str]) -> dict[str, str]:
    """The split of songs named by their paths below a source's folder.

    Songs in a subfolder named after a split are in that; all others are given to ``assign``.
    """
    placed: dict[str, str | None] = {}
    for name in names:
        first, *rest = PurePosixPath(name).parts
        placed[name] = folder_split(first) if rest else None
    hashed = assign(name for name, split in placed.items() if split is None)
    return {name: split or hashed[name] for name, split in placed.items()}


def library_key(library: Path) -> str:
    """What an instrument library's split hangs on: its SoundFont, or else its own name."""
    match = RENDERED.match(library.name)
    return match[1] if match else library.name


def assign_libraries(libraries: Sequence[Path]) -> dict[Path, str]:
    """The split of each ``<stem>/<library>`` folder of a note bank.

    Libraries rendered from one SoundFont, ``<font>-<three digits>``, share recordings, rooms and
    taste; they share a split too, whatever their stem. Every other library is by itself. Fewer
    than ten fonts and libraries are all in train.

    A stem whose libraries all fell into validation and test could not be learned. Of those
    libraries the one with the lowest hash (with all others of its font) is then in train: which
    one that is depends on the libraries of that stem alone, not on their order nor on the other
    stems.
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
