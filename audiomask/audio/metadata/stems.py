"""What of a song's metadata still holds for a part of it, such as the guitar alone."""

from __future__ import annotations

from dataclasses import replace

from audiomask.audio.metadata import wav_texts
from audiomask.audio.metadata.flac import CUESHEET
from audiomask.audio.metadata.id3 import write_id3
from audiomask.audio.metadata.model import Chunk, Metadata, Tags

#: Tags that are true of the song's own sound or file alone, in capitals without other signs: how
#: loud it is, how it was coded and measured, and by what a fingerprint or a database knows it.
#: A name that ends with * stands for all that begin so.
NOT_FOR_STEMS = (
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
    without a title lends its file's name; one without tags gets none.

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
        for barred in NOT_FOR_STEMS
    )


def _titled(tags: Tags, title: str) -> Tags:
    if not title:
        return tags
    others = tuple(tag for tag in tags if tag[0] != "TITLE")
    return (("TITLE", title), *others)


def _stem_chunks(metadata: Metadata, title: str, tags: Tags) -> tuple[Chunk, ...]:
    """A WAV's chunks with the new title, without what does not hold any longer."""
    chunks = []
    informed = False
    for chunk in metadata.chunks:
        content = chunk.content
        if chunk.name == b"LIST" and content[:4] == b"INFO":
            content = _stem_info(content, "" if informed else title)
            informed = True
        elif chunk.name in (b"id3 ", b"ID3 "):
            content = write_id3(tags, metadata.pictures)
        elif chunk.name == b"bext" and len(content) >= 602:
            content = _stem_bext(content)
        if content:
            chunks.append(replace(chunk, content=content))
    if title and not informed and any(tag[0] in wav_texts.INFO.values() for tag in tags):
        chunks.append(Chunk(b"LIST", wav_texts.write_info([(b"INAM", wav_texts.encode(title))])))
    return tuple(chunks)


def _stem_info(content: bytes, title: str) -> bytes:
    """INFO with the new title, in the old one's place and the others' encoding."""
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
    """Time code and origin without the identity of the material and its loudness."""
    version = int.from_bytes(content[346:348], "little")
    if version < 1:
        return content
    content = content[:348] + bytes(64) + content[412:]
    return content if version < 2 else content[:412] + _NO_LOUDNESS + content[422:]
