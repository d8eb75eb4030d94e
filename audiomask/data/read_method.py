"""How a file is read in spans without missing any of its sound, found out once a process.

Most files libsndfile reads by seeking. It stops early in some (MP3s that do not tell their length,
or are joined; chained Ogg), and takes some for what they are not (DTS in a WAV); others it cannot
read at all. A little of a file tells which it is: none is decoded to find out, but those of the
rare kinds that have to be decoded as a whole.
"""

from __future__ import annotations

import functools
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import soundfile

from audiomask.audio import mpeg, probe, wav
from audiomask.audio.bitstreams import find_bitstream
from audiomask.audio.decode import looks_like_text
from audiomask.audio.files import RATES, AudioFile
from audiomask.audio.links import find_links, may_be_chained
from audiomask.audio.opening import open_sound
from audiomask.errors import AudioFileError

#: libsndfile's frame count of a stream that does not tell its length
ENDLESS = 2**62


class ReadMethod(Enum):
    """How spans of a file are read."""

    seek = "libsndfile seeks"
    pipe = "ffmpeg seeks"
    whole = "decoded as a whole, and kept for a while"


class Readable(NamedTuple):
    """How a file is read, and how long it is in seconds; None where nothing tells."""

    method: ReadMethod
    seconds: float | None


def find_read_method(file: Path) -> Readable:
    """How spans of a file are read; asked again only when the file has changed.

    Raises:
        OSError: it cannot be read.
        AudioFileError: it has to be decoded as a whole, and cannot be.
    """
    status = file.stat()
    return _find_read_method(file, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1 << 17)
def _find_read_method(file: Path, size: int, time: int) -> Readable:
    misread = wav.find_misread(file)
    if misread is not None and len(misread.spans) > 1:
        return _whole(file)
    opened = open_sound(file)
    if opened is None:
        if looks_like_text(file):
            return Readable(ReadMethod.pipe, None)
        seconds, anew = probe.measure_duration(file, str(file))
        return _whole(file) if anew or _is_chained(file) else Readable(ReadMethod.pipe, seconds)
    with opened:
        frames, rate = int(opened.frames), int(opened.samplerate)
        try:
            if frames < ENDLESS and find_bitstream(opened) is not None:
                return _whole(file)
        except soundfile.LibsndfileError:
            pass  # damaged: to be told where a span of it is read
    if misread is not None:  # its header was never finished; ffmpeg goes by the file's length
        width = int.from_bytes(misread.fmt[16:20], "little")  # bytes a second
        return Readable(ReadMethod.pipe, misread.size / width if width else None)
    if opened.format == "MP3" and not mpeg.has_exact_header(file):
        stream = mpeg.scan_frames(file)
        if stream is not None and (stream.joined or not stream.uniform):
            return _whole(file)
        if stream is not None:
            return Readable(
                ReadMethod.pipe if stream.exceeds(frames) else ReadMethod.seek, stream.seconds
            )
    if opened.format in ("OGG", "FLAC") and _is_chained(file):
        return _whole(file)
    if 0 < frames < ENDLESS:
        return Readable(ReadMethod.seek, frames / rate if rate in RATES else None)
    return Readable(ReadMethod.pipe, probe.measure_duration(file, str(file))[0])


def _is_chained(file: Path) -> bool:
    return may_be_chained(file) and len(find_links(file)) > 1


def _whole(file: Path) -> Readable:
    with AudioFile(file) as source:
        return Readable(ReadMethod.whole, source.frames / source.sample_rate)


def needs_ffmpeg(error: AudioFileError) -> bool:
    """Whether an error is about ffmpeg, which is not installed."""
    return "install ffmpeg" in str(error)
