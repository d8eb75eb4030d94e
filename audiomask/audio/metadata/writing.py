"""Writing of metadata into a finished file of libsndfile's.

The samples' bytes are moved in place, never coded again.
"""

from __future__ import annotations

from pathlib import Path

from audiomask.audio.metadata.flac import write_flac
from audiomask.audio.metadata.iff import write_aiff, write_caf
from audiomask.audio.metadata.model import Metadata
from audiomask.audio.metadata.mp3 import write_mp3
from audiomask.audio.metadata.ogg import write_ogg
from audiomask.audio.metadata.riff import write_w64


def add_metadata(path: Path, format: str, metadata: Metadata, channels: int) -> str:
    """Add metadata to the file at ``path``.

    Args:
        path: a finished file that nobody else uses.
        format: its container, as libsndfile names it; AU and others have no metadata.
        metadata: the metadata to add.
        channels: its number of channels.

    Returns:
        A sentence on what the container could not hold, or ``""``.

    Raises:
        OSError: it cannot be written.
    """
    if not (metadata.tags or metadata.pictures or metadata.chunks or metadata.layout):
        return ""
    with path.open("r+b") as file:
        if format == "FLAC":
            return write_flac(file, metadata, channels)
        if format == "MP3":
            write_mp3(file, metadata)
        elif format == "OGG":
            write_ogg(file, metadata)
        elif format == "AIFF":
            write_aiff(file, metadata)
        elif format == "CAF":
            write_caf(file, metadata)
        elif format == "W64":
            write_w64(file, metadata)
    return ""
