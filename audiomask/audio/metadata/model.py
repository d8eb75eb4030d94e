"""Metadata as plain values, the same for every container.

Tags carry the names that Vorbis comments use (``TITLE``, ``ARTIST``, ``TRACKNUMBER`` …): every
container's own names are mapped to these. What a container holds beyond tags and pictures is kept
as *chunks*, bytes that only the same container can take back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

#: bytes of metadata that are held in memory for one file; what lies beyond is passed over
LIMIT = 64 << 20

Tags = tuple[tuple[str, str], ...]


class Place(IntEnum):
    """Where a chunk stands in a RIFF file."""

    BEFORE_FORMAT = 0
    BEFORE_DATA = 1
    AFTER_DATA = 2


@dataclass(frozen=True)
class Chunk:
    """A part of a container that is neither its samples nor what describes their format.

    Attributes:
        name: four characters; of W64 chunks that no RIFF chunk corresponds to, the 16 bytes of
            their GUID; of FLAC, one byte with the block's type.
        content: its bytes, without header and padding.
        place: where it stands; only RIFF heeds that.
    """

    name: bytes
    content: bytes
    place: Place = Place.AFTER_DATA


@dataclass(frozen=True)
class Picture:
    """A cover or another picture.

    Attributes:
        data: the file, as JPEG or PNG for instance.
        mime: its type, such as ``image/jpeg``.
        kind: number of its meaning in ID3 and FLAC; 3 is the front cover.
        description: a few words.
        size: width and height in pixels, bits a pixel, colours of a palette; 0 for unknown.
    """

    data: bytes
    mime: str
    kind: int = 3
    description: str = ""
    size: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Layout:
    """Which loudspeaker each channel is for, as WAVE_FORMAT_EXTENSIBLE tells it.

    Attributes:
        mask: a bit a loudspeaker, in the order of the channels; 0 for none in particular.
        valid_bits: bits of each sample that are used; 0 for all.
        family: the last 14 bytes of the subformat's GUID. Ambisonic files have one of their own.
    """

    mask: int
    valid_bits: int = 0
    family: bytes = bytes.fromhex("000000001000800000aa00389b71")


@dataclass(frozen=True)
class Metadata:
    """All that belongs to a recording.

    Attributes:
        tags: names in capitals and values, in order; a name may come several times.
        pictures: its pictures.
        layout: of its channels, if that is told.
        container: ``RIFF`` (WAV, RF64 and W64), ``AIFF``, ``CAF``, ``FLAC``, ``MP3``, ``OGG``, or
            ``""`` for others. It says what may take the chunks.
        chunks: what the container holds, tags and pictures included, as bytes.
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
        """The chunks, if that container can take them."""
        return self.chunks if container == self.container else ()


class Cursor:
    """Bytes read from front to back; what is missing raises ``ValueError``, never more."""

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
        """The next bytes as a whole number without sign."""
        taken = self.take(width)
        return int.from_bytes(taken, "big" if self._order == "big" else "little")

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self.data) - self.at)
