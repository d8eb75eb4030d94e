"""Names of stems, as a checkpoint's configuration has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomask.errors import CheckpointError

#: names of stems that would be no names of files, or are taken
_NO_STEMS = ("", ".", "..", "all", "residual")


def stem_names(folder: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The stems that a configuration names, each of which can name a file.

    Raises:
        CheckpointError: they are no list of names, or lead to another folder.
    """
    stems = config.get("stems")
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise CheckpointError(f"{folder}: 'stems' is no list of names")
    for stem in stems:
        if not stem.isprintable() or set(stem) & set("/\\:") or stem in _NO_STEMS:
            raise CheckpointError(f"{folder}: stem {stem!r:.40} cannot name a file")
    return tuple(stems)
