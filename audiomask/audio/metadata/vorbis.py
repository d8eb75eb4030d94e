"""Vorbis comments and pictures, as in FLAC and Ogg."""

from __future__ import annotations

import base64
import binascii

from audiomask.audio.metadata.model import Cursor, Picture, Tags

#: the tag of a picture
_PICTURE_TAG = "METADATA_BLOCK_PICTURE"
_MAX_COMMENTS = 65_536


def read_comments(data: bytes) -> tuple[bytes, Tags]:
    """A comment block's vendor and tags, without malformed ones."""
    cursor = Cursor(data)
    tags = []
    vendor = b""
    try:
        vendor = cursor.take(cursor.number())
        for _ in range(min(cursor.number(), _MAX_COMMENTS)):
            name, equals, value = cursor.take(cursor.number()).partition(b"=")
            if equals and name:
                tags.append((name.decode("ascii", "replace").upper(), _decode(value)))
    except ValueError:
        pass
    return vendor, tuple(tags)


def write_comments(vendor: bytes, tags: Tags) -> bytes:
    """A comment block. Names keep the characters that the format allows."""
    entries = []
    for name, value in tags:
        clean = "".join(c for c in name.upper() if " " <= c <= "}" and c != "=")
        if clean:
            entries.append(clean.encode() + b"=" + value.encode("utf-8", "replace"))
    parts = [_sized(vendor), len(entries).to_bytes(4, "little"), *map(_sized, entries)]
    return b"".join(parts)


def read_picture(data: bytes) -> Picture | None:
    """FLAC's picture block; None when it is malformed."""
    cursor = Cursor(data, "big")
    try:
        kind = cursor.number()
        mime = cursor.take(cursor.number()).decode("ascii", "replace")
        description = _decode(cursor.take(cursor.number()))
        width, height, depth, colors = (cursor.number() for _ in range(4))
        image = cursor.take(cursor.number())
    except ValueError:
        return None
    return Picture(image, mime, kind, description, (width, height, depth, colors))


def write_picture(picture: Picture) -> bytes:
    """FLAC's picture block."""
    mime = picture.mime.encode("ascii", "replace")
    description = picture.description.encode("utf-8", "replace")
    numbers = (
        *(picture.kind.to_bytes(4, "big"), len(mime).to_bytes(4, "big"), mime),
        *(len(description).to_bytes(4, "big"), description),
        *(number.to_bytes(4, "big") for number in picture.size),
        len(picture.data).to_bytes(4, "big"),
    )
    return b"".join(numbers) + picture.data


def take_pictures(tags: Tags) -> tuple[Tags, tuple[Picture, ...]]:
    """The tags other than pictures, and the pictures."""
    pictures = []
    for name, value in tags:
        if name == _PICTURE_TAG:
            try:
                picture = read_picture(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                continue
            if picture is not None:
                pictures.append(picture)
    return tuple(tag for tag in tags if tag[0] != _PICTURE_TAG), tuple(pictures)


def description_to_comment(tags: Tags) -> Tags:
    """The tags with DESCRIPTION renamed COMMENT, as ffmpeg uses it.

    Unless there is a comment, or a time code: then it describes a broadcast file.
    """
    names = {name for name, _ in tags}
    if "COMMENT" in names or "TIME_REFERENCE" in names:
        return tags
    return tuple(("COMMENT" if name == "DESCRIPTION" else name, value) for name, value in tags)


def picture_tag(picture: Picture) -> tuple[str, str]:
    """The tag that holds a picture."""
    return _PICTURE_TAG, base64.b64encode(write_picture(picture)).decode()


def _decode(data: bytes) -> str:
    """UTF-8 text or, from programs that ignore the standard, Windows-1252."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
