"""Metadata for a stem of a song."""

from __future__ import annotations

from dataclasses import replace

from audiomask.audio.metadata import wav_texts
from audiomask.audio.metadata.flac import CUESHEET
from audiomask.audio.metadata.id3 import write_id3
from audiomask.audio.metadata.model import Chunk, Metadata, Tags

#: Tags of the song's own audio or file, letters and digits in capitals: loudness, coding,
#: measurements, fingerprints and database ids. A name that ends with * stands for a prefix.
_NOT_FOR_STEMS = (
    *("REPLAYGAIN*", "R128*", "MP3GAIN*", "LOUDNESS*", "ITUNNORM", "ITUNPGAP", "ITUNSMPB"),
    *("ENCODER*", "ENCODEDBY", "ENCODING*", "LENGTH", "TLEN", "MD5*", "PEAK*"),
    *("ACOUSTID*", "MUSICIP*", "MUSICBRAINZTRACKID", "MUSICBRAINZRELEASETRACKID"),
    *("ACCURATERIP*", "CDDB*", "ITUNESCDDB*", "UMID", "CODINGHISTORY"),
)
#: no value in the loudness fields of a bext chunk
_NO_LOUDNESS = b"\xff\x7f" * 5


def for_stem(metadata: Metadata, stem: str, track: str) -> Metadata:
    """Metadata for one stem of a recording.

    The title gets the stem's name in brackets: ``My Song (guitar)``. A recording with tags but
    without a title uses its file's name; one without tags gets no title.

    Args:
        metadata: the recording's.
        stem: the stem's name.
        track: the recording's name, without its ending.
    """
    kept = tuple(tag for tag in metadata.tags if holds_for_stems(tag[0]))
    title = f"{metadata.tag('TITLE') or track} ({stem})" if kept else ""
    tags = _titled(kept, title)
    chunks: tuple[Chunk, ...] = ()
    if metadata.container == "RIFF":
        chunks = _stem_chunks(metadata, title, tags)
    elif metadata.container == "FLAC":
        chunks = tuple(chunk for chunk in metadata.chunks if chunk.name[0] == CUESHEET)
    return replace(metadata, tags=tags, chunks=chunks)


def holds_for_stems(name: str) -> bool:
    """Whether a tag may be copied to a stem."""
    plain = "".join(character for character in name.upper() if character.isalnum())
    return not any(
        plain.startswith(barred[:-1]) if barred.endswith("*") else plain == barred
        for barred in _NOT_FOR_STEMS
    )


def _titled(tags: Tags, title: str) -> Tags:
    if not title:
        return tags
    others = tuple(tag for tag in tags if tag[0] != "TITLE")
    return (("TITLE", title), *others)


def _stem_chunks(metadata: Metadata, title: str, tags: Tags) -> tuple[Chunk, ...]:
    """A WAV's chunks with the new title, without data of the song's own audio."""
    chunks = []
    has_info = False
    for chunk in metadata.chunks:
        content = chunk.content
        if chunk.name == b"LIST" and content[:4] == b"INFO":
            content = _stem_info(content, "" if has_info else title)
            has_info = True
        elif chunk.name in (b"id3 ", b"ID3 "):
            content = write_id3(tags, metadata.pictures)
        elif chunk.name == b"bext" and len(content) >= 602:
            content = _stem_bext(content)
        if content:
            chunks.append(replace(chunk, content=content))
    if title and not has_info and any(tag[0] in wav_texts.INFO.values() for tag in tags):
        chunks.append(Chunk(b"LIST", wav_texts.write_info([(b"INAM", wav_texts.encode(title))])))
    return tuple(chunks)


def _stem_info(content: bytes, title: str) -> bytes:
    """INFO with the new title, in the old title's place and the other items' encoding."""
    items = [
        (name, value)
        for name, value in wav_texts.info_items(content)
        if name not in wav_texts.INFO or holds_for_stems(wav_texts.INFO[name])
    ]
    if not title:
        return wav_texts.write_info(items)
    coded = wav_texts.encode(title)
    try:
        b"".join(value for _, value in items).decode()
    except UnicodeDecodeError:
        coded = title.encode("cp1252", "replace") + b"\0"
    named = [(name, coded if name == b"INAM" else value) for name, value in items]
    if all(name != b"INAM" for name, _ in items):
        named.insert(0, (b"INAM", coded))
    return wav_texts.write_info(named)


def _stem_bext(content: bytes) -> bytes:
    """A bext chunk without UMID and loudness."""
    version = int.from_bytes(content[346:348], "little")
    if version < 1:
        return content
    content = content[:348] + bytes(64) + content[412:]
    return content if version < 2 else content[:412] + _NO_LOUDNESS + content[422:]
