"""Tracks: songs on disk as a layout names them, and the splits that they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Track:
    """One song on disk.

    Attributes:
        name: its path below the source's folder, for messages and for choosing its split.
        split: ``train``, ``validation`` or ``test``.
        stems: the files of each stem, several of which are summed; empty for a plain recording.
        mixture: the file of the whole song, for recordings whose parts are unknown.
        seconds: how long it is; the shortest of its files where they differ.
    """

    name: str
    split: str
    stems: Mapping[str, tuple[Path, ...]]
    mixture: Path | None
    seconds: float
