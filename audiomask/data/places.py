"""Places of data: folders, and addresses of shards. Does not import torch."""

import os
import re
from pathlib import Path

#: ``http:``, ``pipe:``, ``gs:`` …; one letter is a Windows drive
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
#: a set of shards written as one, ``train/{000000..000099}.tar``
_PATTERN = re.compile(r"\{.*\}.*\.tar")


def is_address(text: str) -> bool:
    """Whether a ``--data`` argument is an address of shards rather than a folder."""
    return bool(SCHEME.match(text) or _PATTERN.search(text)) and not Path(text).exists()


def place_of(text: str, above: Path = Path()) -> Path | str:
    """The folder that a ``--data`` argument names, or the unchanged address of shards."""
    return text if is_address(text) else above / os.path.expanduser(text)


def name_of(place: Path | str) -> str:
    """The last part of a folder or address, without its location."""
    if isinstance(place, Path):
        return place.resolve().name
    return place.rstrip("/").rpartition("/")[2]
