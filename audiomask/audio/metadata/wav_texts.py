"""The text chunks of WAV: INFO, and bext with its time code."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from audiomask.audio.metadata.model import Cursor, Metadata, Tags, decode_text

#: tags by INFO names
INFO = {
    **{b"INAM": "TITLE", b"IART": "ARTIST", b"IPRD": "ALBUM", b"ICRD": "DATE"},
    **{b"ITRK": "TRACKNUMBER", b"IPRT": "TRACKNUMBER", b"IGNR": "GENRE", b"ICMT": "COMMENT"},
    **{b"ICOP": "COPYRIGHT", b"ISFT": "ENCODER", b"IENG": "ENGINEER", b"ILNG": "LANGUAGE"},
    **{b"ITCH": "ENCODED_BY", b"IMUS": "COMPOSER", b"IWRI": "LYRICIST", b"ISRC": "SOURCE"},
    **{b"IKEY": "KEYWORDS", b"ISBJ": "SUBJECT", b"ISMP": "TIMECODE", b"IMED": "MEDIA"},
}
INFO_NAMES = {name: key for key, name in INFO.items() if key != b"IPRT"}
#: text fields of a bext chunk: name, start, stop
_BEXT = (
    *(("DESCRIPTION", 0, 256), ("ORIGINATOR", 256, 288), ("ORIGINATOR_REFERENCE", 288, 320)),
    *(("ORIGINATION_DATE", 320, 330), ("ORIGINATION_TIME", 330, 338)),
)
TIME_REFERENCE = "TIME_REFERENCE"


def info_items(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and values, with their terminators, of a LIST chunk of type INFO."""
    cursor = Cursor(content)
    try:
        cursor.take(4)
        while True:
            name = cursor.take(4)
            size = min(cursor.number(), len(content) - cursor.at)
            yield name, cursor.take(size)
            cursor.at = min(cursor.at + size % 2, len(content))
    except ValueError:
        return


def write_info(items: list[tuple[bytes, bytes]]) -> bytes:
    """The content of a LIST chunk of type INFO."""
    return b"INFO" + b"".join(
        name + struct.pack("<I", len(value)) + value + bytes(len(value) % 2)
        for name, value in items
    )


def encode(text: str) -> bytes:
    """Text for an INFO chunk, with its terminator."""
    return text.replace("\0", " ").encode("utf-8", "replace") + b"\0"


def bext_names() -> set[str]:
    """The tags of a bext chunk."""
    return {TIME_REFERENCE, *(name for name, _, _ in _BEXT)}


def read_bext(content: bytes) -> Tags:
    """Texts and time code of a bext chunk; none of a truncated one."""
    if len(content) < 346:
        return ()
    tags = [(name, decode_text(content[start:stop])) for name, start, stop in _BEXT]
    tags.append((TIME_REFERENCE, str(int.from_bytes(content[338:346], "little"))))
    return tuple(tag for tag in tags if tag[1])


def write_bext(metadata: Metadata, reference: int) -> bytes:
    """A bext chunk of version 1 for a time code in samples since midnight."""
    fields = b""
    for name, start, stop in _BEXT:
        value = metadata.tag(name).encode("ascii", "replace")[: stop - start]
        fields += value.ljust(stop - start, b"\0")
    return fields + struct.pack("<QH", reference, 1) + bytes(254)
