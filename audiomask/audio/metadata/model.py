"""Metadata as plain values, the same for every container.

Tags have the names of Vorbis comments (``TITLE``, ``ARTIST``, ``TRACKNUMBER`` …), to which other
containers' names are mapped. *Chunks* are a container's own metadata as bytes, which only the same
kind of container can store.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

#: most bytes of metadata read of one file; the rest is skipped
LIMIT = 64 << 20
#: the usual loudspeakers by number of channels, in FLAC, Vorbis and Opus
SPEAKER_MASKS = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}

Tags = tuple[tuple[str, str], ...]


class Place(IntEnum):
    """The position of a chunk in a RIFF file."""

    BEFORE_FORMAT = 0
    BEFORE_DATA = 1
    AFTER_DATA = 2


@dataclass(frozen=True)
class Chunk:
    """A part of a container other than its samples and their format.

    Attributes:
        name: four characters; of W64 chunks without a RIFF equivalent, the 16 bytes of the GUID; of
            FLAC, one byte with the block's type.
        content: its bytes, without header and padding.
        place: its position, used by RIFF only.
    """

    name: bytes
    content: bytes
    place: Place = Place.AFTER_DATA


@dataclass(frozen=True)
class Picture:
    """A cover or another picture.

    Attributes:
        data: the image file, such as JPEG or PNG.
        mime: its type, such as ``image/jpeg``.
        kind: picture type in ID3 and FLAC; 3 is the front cover.
        description: text.
        size: width and height in pixels, bits a pixel, colors of a palette; 0 for unknown.
    """

    data: bytes
    mime: str
    kind: int = 3
    description: str = ""
    size: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Layout:
    """The loudspeakers of the channels, as in WAVE_FORMAT_EXTENSIBLE.

    Attributes:
        mask: a bit for each loudspeaker, in the order of the channels; 0 for unassigned channels.
        valid_bits: bits of each sample that are used; 0 for all.
        family: the last 14 bytes of the subformat's GUID, which differ in ambisonic files.
    """

    mask: int
    valid_bits: int = 0
    family: bytes = bytes.fromhex("000000001000800000aa00389b71")


@dataclass(frozen=True)
class Metadata:
    """A recording's metadata.

    Attributes:
        tags: names in capitals and values, in order; a name may have several values.
        pictures: its pictures.
        layout: of its channels, if known.
        container: ``RIFF`` (WAV, RF64 and W64), ``AIFF``, ``CAF``, ``FLAC``, ``MP3``, ``OGG``, or
            ``""`` for others; the kind that can store the chunks.
        chunks: the container's metadata as bytes, tags and pictures included.
        lost: a sentence on what could not be read, or ``""``.
    """

    tags: Tags = ()
    pictures: tuple[Picture, ...] = ()
    layout: Layout | None = None
    container: str = ""
    chunks: tuple[Chunk, ...] = ()
    lost: str = ""

    def tag(self, name: str) -> str:
        """The first value of a tag, or ``""``."""
        return next((value for key, value in self.tags if key == name), "")

    def chunks_for(self, container: str) -> tuple[Chunk, ...]:
        """The chunks, if that container can store them."""
        return self.chunks if container == self.container else ()


def decode_text(data: bytes) -> str:
    """Text up to a null byte: UTF-8 or, from older programs, Windows-1252."""
    data = data.split(b"\0")[0]
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace").strip()


class Cursor:
    """A reader of bytes from front to back; raises ``ValueError`` at their end."""

    def __init__(self, data: bytes, order: str = "little") -> None:
        self.data, self.at = data, 0
        self._order = order

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width: int = 4) -> int:
        """The next ``width`` bytes as an unsigned integer."""
        taken = self.take(width)
        return int.from_bytes(taken, "big" if self._order == "big" else "little")

    def rest(self) -> bytes:
        """The remaining bytes."""
        return self.take(len(self.data) - self.at)
