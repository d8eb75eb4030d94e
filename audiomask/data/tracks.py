"""Tracks: songs on disk, and the names of splits."""

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
        stems: files by stem, several of which are summed; empty for a plain recording.
        mixture: the file of the whole song, for recordings without stems.
        seconds: duration of its shortest file.
    """

    name: str
    split: str
    stems: Mapping[str, tuple[Path, ...]]
    mixture: Path | None
    seconds: float
