"""Names of stems in a checkpoint's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomask.errors import CheckpointError

#: names that cannot be names of files, or have another meaning
_NO_STEMS = ("", ".", "..", "all", "residual")


def stem_names(folder: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The stems of a configuration.

    Raises:
        CheckpointError: they are no list of names, or one cannot name a file.
    """
    stems = config.get("stems")
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise CheckpointError(f"{folder}: 'stems' is no list of names")
    for stem in stems:
        if not stem.isprintable() or set(stem) & set("/\\:") or stem in _NO_STEMS:
            raise CheckpointError(f"{folder}: stem {stem!r:.40} cannot name a file")
    return tuple(stems)
