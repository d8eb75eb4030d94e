"""Reading of metadata, by a file's content."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

import soundfile

from audiomask.audio import pipes
from audiomask.audio.files import AudioFile
from audiomask.audio.metadata import id3
from audiomask.audio.metadata.flac import read_flac
from audiomask.audio.metadata.iff import read_iff
from audiomask.audio.metadata.model import Metadata
from audiomask.audio.metadata.mp3 import read_mp3
from audiomask.audio.metadata.ogg import read_ogg
from audiomask.audio.metadata.probe import read_with_ffprobe
from audiomask.audio.metadata.riff import read_riff

_WAVE = (b"RIFF", b"RF64", b"BW64")


def read_metadata(source: AudioFile) -> Metadata:
    """A recording's metadata, without malformed parts.

    Memory is bounded by the file's size, and by 64 MiB.

    Args:
        source: an open file, which may be a pipe's.
    """
    with source.open_original() as stream:
        found = parse(stream)
        if found is not None:
            return found
        if source.format in soundfile.available_formats() and source.format != "MP3":
            return Metadata()  # containers without metadata, or with none that others can store
        if not source.spooled:
            return read_with_ffprobe(Path(source.path))
        copy = pipes.temporary_file()
        try:
            stream.seek(0)
            with copy.open("wb") as out:
                shutil.copyfileobj(stream, out)
            return read_with_ffprobe(copy)
        finally:
            pipes.discard(copy)


def parse(stream: BinaryIO) -> Metadata | None:
    """Metadata of the containers with a reader here; None for others."""
    stream.seek(0)
    head = stream.read(40)
    if (head[:4] in _WAVE and head[8:12] == b"WAVE") or head[:4] == b"riff":
        return read_riff(stream)
    if head[:4] == b"caff" or (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")):
        return read_iff(stream)
    if head[:4] == b"OggS":
        return read_ogg(stream)
    if head[:4] == b"fLaC":
        return read_flac(stream)
    if behind := id3.tag_size(head[:10]):
        stream.seek(behind)
        return read_flac(stream, behind) if stream.read(4) == b"fLaC" else _enclosed(stream)
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _enclosed(stream)
    return None


def _enclosed(stream: BinaryIO) -> Metadata | None:
    """Metadata of MP3 and other MPEG audio; None where only ffprobe can read it (APE tags)."""
    found = read_mp3(stream)
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(end - 160, 0))
    return None if not found.tags and b"APETAGEX" in stream.read() else found
