"""Stems: their names in a checkpoint's configuration, and what is left without some of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiomask.errors import CheckpointError

if TYPE_CHECKING:  # the command line reads names without torch
    from torch import Tensor

#: names that cannot be names of files, or have another meaning
_NO_STEMS = ("", ".", "..", "all", "residual")
#: the name of what stems leave
RESIDUAL = "residual"


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


def without(blocks: Mapping[str, Tensor], removed: Collection[str]) -> Tensor:
    """A recording without some of its stems, [C, n]: the residual and the stems that stay.

    Args:
        blocks: separated stems, and "residual", what they leave, [C, n] each.
        removed: the names of the stems to leave out.
    """
    kept = [samples for stem, samples in blocks.items() if stem not in (*removed, RESIDUAL)]
    return sum(kept, start=blocks[RESIDUAL])
