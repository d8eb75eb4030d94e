"""Places of data: folders, and the addresses of shards. Free of torch."""

import os
import re
from pathlib import Path

#: ``http:``, ``pipe:``, ``gs:`` …; one letter is a drive of Windows
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
#: a set of shards written as one, ``train/{000000..000099}.tar``
PATTERN = re.compile(r"\{.*\}.*\.tar")


def is_address(text: str) -> bool:
    """Whether a ``--data`` argument is that of shards, and not the name of a folder."""
    return bool(SCHEME.match(text) or PATTERN.search(text)) and not Path(text).exists()


def place_of(text: str, above: Path = Path()) -> Path | str:
    """What a ``--data`` argument names: a folder, or shards at an address, which stays as it is."""
    return text if is_address(text) else above / os.path.expanduser(text)


def name_of(place: Path | str) -> str:
    """The last name of a folder or address: all that is told of it to others."""
    if isinstance(place, Path):
        return place.resolve().name
    return place.rstrip("/").rpartition("/")[2]
