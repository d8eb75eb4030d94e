"""MP3: the ID3 tags before and after its frames."""

from __future__ import annotations

import os
from typing import BinaryIO

from audiomask.audio.metadata import id3
from audiomask.audio.metadata.model import LIMIT, Chunk, Metadata, Picture, Tags
from audiomask.audio.metadata.moving import make_room

_OLD_SIZE = 128


def read_mp3(stream: BinaryIO) -> Metadata:
    """Tags and pictures of a file with ID3 tags at its start and end."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    chunks: list[Chunk] = []
    tags: Tags = ()
    pictures: tuple[Picture, ...] = ()
    lost = ""
    size = id3.tag_size(stream.read(10))
    if 0 < size <= end:
        if size <= LIMIT:
            stream.seek(0)
            chunks.append(Chunk(b"ID3", stream.read(size)))
            tags, pictures = id3.read_id3(chunks[0].content)
        else:
            lost = "its ID3 tag is too large to be kept"
    stream.seek(max(end - _OLD_SIZE, 0))
    old = stream.read(_OLD_SIZE)
    if len(old) == _OLD_SIZE and old[:3] == b"TAG":
        chunks.append(Chunk(b"TAG", old))
        known = {name for name, _ in tags}
        tags += tuple(tag for tag in id3.read_id3v1(old) if tag[0] not in known)
    return Metadata(tags, pictures, None, "MP3", tuple(chunks), lost)


def write_mp3(file: BinaryIO, metadata: Metadata) -> None:
    """Replace the ID3 tags of a finished MP3, open for reading and writing.

    All frames stay, with the first, which has the true length.
    """
    file.seek(0)
    there = id3.tag_size(file.read(10))
    given = {chunk.name: chunk.content for chunk in metadata.chunks_for("MP3")}
    head = given.get(b"ID3") or id3.write_id3(metadata.tags, metadata.pictures)
    make_room(file, there, len(head) - there)
    file.seek(0)
    file.write(head)
    file.seek(0, os.SEEK_END)
    file.write(given.get(b"TAG", b""))
