"""How spans of a file are read without missing any of its sound, determined once a process.

libsndfile reads most files by seeking. It stops early in some (MP3s without a length header, joined
MP3s, chained Ogg), misinterprets some (DTS in a WAV), and cannot read others. Which it is can be
determined without decoding, except for the rare files that must be decoded as a whole.
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

#: libsndfile's frame count of a stream of unknown length
ENDLESS = 2**62


class ReadMethod(Enum):
    """How spans of a file are read."""

    seek = "libsndfile seeks"
    pipe = "ffmpeg seeks"
    whole = "decoded as a whole, and cached"


class _Readable(NamedTuple):
    """How a file is read, and its duration in seconds; None if unknown."""

    method: ReadMethod
    seconds: float | None


def find_read_method(file: Path) -> _Readable:
    """How spans of a file are read; cached until the file changes.

    Raises:
        OSError: it cannot be read.
        AudioFileError: it has to be decoded as a whole, and cannot be.
    """
    status = file.stat()
    return _find_read_method(file, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1 << 17)
def _find_read_method(file: Path, size: int, time: int) -> _Readable:
    misread = wav.find_misread(file)
    if misread is not None and len(misread.spans) > 1:
        return _whole(file)
    opened = open_sound(file)
    if opened is None:
        if looks_like_text(file):
            return _Readable(ReadMethod.pipe, None)
        seconds, restarts = probe.measure_duration(file, str(file))
        whole = restarts or _is_chained(file)
        return _whole(file) if whole else _Readable(ReadMethod.pipe, seconds)
    with opened:
        frames, rate = int(opened.frames), int(opened.samplerate)
        try:
            if frames < ENDLESS and find_bitstream(opened) is not None:
                return _whole(file)
        except soundfile.LibsndfileError:
            pass  # damaged: reported when a span is read
    if misread is not None:  # an unfinished header; ffmpeg reads to the end of the file
        return _Readable(ReadMethod.pipe, misread.seconds)
    if opened.format == "MP3" and not mpeg.has_exact_header(file):
        stream = mpeg.scan_frames(file)
        if stream is not None and (stream.joined or not stream.uniform):
            return _whole(file)
        if stream is not None:
            return _Readable(
                ReadMethod.pipe if stream.exceeds(frames) else ReadMethod.seek, stream.seconds
            )
    if opened.format in ("OGG", "FLAC") and _is_chained(file):
        return _whole(file)
    if 0 < frames < ENDLESS:
        return _Readable(ReadMethod.seek, frames / rate if rate in RATES else None)
    return _Readable(ReadMethod.pipe, probe.measure_duration(file, str(file))[0])


def _is_chained(file: Path) -> bool:
    return may_be_chained(file) and len(find_links(file)) > 1


def _whole(file: Path) -> _Readable:
    with AudioFile(file) as source:
        return _Readable(ReadMethod.whole, source.frames / source.sample_rate)
