"""Copies of recordings, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from audiomask.audio import pipes
from audiomask.audio.aac import CODING
from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.audio.files import AudioFile
from audiomask.audio.formats import ENDINGS
from audiomask.errors import AudioFileError

_BLOCK = 1 << 20
#: libsndfile's names of variants of a container
_KINDS = {"WAVEX": "WAV", "RF64": "WAV"}


def is_same_format(source: AudioFile, ending: str) -> bool:
    """Whether a file name's ending stands for the source's format.

    Args:
        source: an open file.
        ending: of a name, without the dot.
    """
    container, subtype = ENDINGS.get(ending.lower(), ("", ""))
    if subtype == CODING:  # MOV is the container of videos, too
        return source.format == "MOV" and Path(source.path).suffix.lower() == f".{ending.lower()}"
    if container == "RF64":
        return source.format == "RF64"
    if subtype == "OPUS" and source.subtype != "OPUS":
        return False
    return container == _KINDS.get(source.format, source.format)


def copy_file(source: AudioFile, place: Path | str, overwrite: bool = False) -> None:
    """Copy a recording's bytes.

    Args:
        source: an open file.
        place: the new file, or ``"-"`` for standard output.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the file exists and may not be replaced.
        AudioFileError: it cannot be read or written. BrokenPipeError of standard output passes.
    """
    with ExitStack() as stack:
        original = stack.enter_context(source.open_original())
        if str(place) == "-":
            name, out = pipes.STDOUT_NAME, pipes.stdout_stream()
        else:
            name = str(place)
            temporary = stack.enter_context(AtomicFile(Path(place), overwrite))
            out = stack.enter_context(temporary.open("wb"))
        try:
            for block in _blocks(original, source.name):
                out.write(block)
            out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(name, error) from error


def _blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """All bytes of a stream, with AudioFileError where it cannot be read."""
    while True:
        try:
            block = stream.read(_BLOCK)
        except OSError as error:
            raise AudioFileError(f"{name}: cannot be read: {error.strerror}") from error
        if not block:
            return
        yield block
