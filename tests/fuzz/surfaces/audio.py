"""Audio files and pipes, as libsndfile and this package's own mending of headers see them.

The first byte of an input chooses its name's ending, or a pipe; the others are the file. ffmpeg is
not called: it is a program of its own, and what it is let read is tested elsewhere.
"""

from __future__ import annotations

import io
import struct
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile

from audiomask.audio import decode, opening, probe
from audiomask.audio.files import AudioFile
from audiomask.audio.metadata.reading import parse
from audiomask.audio.pcm import BITS

decode.ffmpeg_path = opening.ffmpeg_path = probe.ffprobe_path = lambda: None

#: a pipe, and endings, by the first byte
WAYS = {b"-": None, b"w": ".wav", b"r": ".raw", b"m": ".mp3", b"o": ".ogg", b"a": ".aiff", b"x": ""}
WORDS = (
    b"RIFF", b"RF64", b"RIFX", b"WAVE", b"fmt ", b"data", b"ds64", b"fact", b"LIST", b"JUNK",
    b"FORM", b"AIFF", b"AIFC", b"COMM", b"SSND", b".snd", b"caff", b"desc", b"fLaC", b"OggS",
    b"\x01vorbis", b"OpusHead", b"ID3", b"\xff\xfb", b"riff\x2e\x91\xcf\x11", b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", b"\xfe\xff", b"\x01\x00\x00\x00\x00\x00\x10\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff" * 8, b"\x11\x00", b"\x02\x00", b"\x31\x00",
    b"\xf0\x7e\x00\x01",
)  # fmt: skip
#: containers and subtypes of the seeds
KINDS = (
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
    ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"),
    ("WAV", "G721_32"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"),
    ("W64", "FLOAT"), ("AIFF", "PCM_16"),
    ("AIFF", "PCM_S8"), ("AIFF", "DWVW_16"), ("AU", "PCM_16"), ("AU", "G723_24"), ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"), ("NIST", "PCM_16"), ("VOC", "PCM_16"), ("SVX", "PCM_16"),
    ("IRCAM", "PCM_16"), ("PAF", "PCM_24"), ("MAT4", "PCM_16"), ("MAT5", "FLOAT"),
    ("PVF", "PCM_16"),
    ("XI", "DPCM_16"), ("HTK", "PCM_16"), ("AVR", "PCM_16"), ("WVE", "ALAW"),
    ("MPC2K", "PCM_16"),
)  # fmt: skip


def attempt(data: bytes, folder: Path) -> None:
    """Open a file or pipe, and read what belongs to it, its ends, around both, and through."""
    keys = list(WAYS)
    way = data[:1] if data[:1] in WAYS else keys[data[0] % len(keys) if data else 0]
    ending = WAYS[way]
    before = sys.stdin
    if ending is None:
        sys.stdin = SimpleNamespace(  # type: ignore[assignment]
            buffer=io.BytesIO(data[1:]), closed=False, isatty=lambda: False
        )
        source: Path | str = "-"
    else:
        source = folder / f"input{ending}"
        source.write_bytes(data[1:])
    parse(io.BytesIO(data[1:]))  # whatever it holds, sound or not
    try:
        with AudioFile(source) as file:
            _read(file, len(data))
    finally:
        sys.stdin = before
    assert not list(Path(tempfile.gettempdir()).glob("audiomask-[!f]*"))


def _read(file: AudioFile, size: int) -> None:
    assert file.frames > 0
    assert 1 <= file.channels <= 1024
    if file.subtype in ("FLOAT", "DOUBLE") or (
        file.subtype in BITS and file.format not in ("FLAC", "CAF", "PAF")
    ):
        width = {"FLOAT": 32, "DOUBLE": 64}.get(file.subtype) or BITS[file.subtype]
        assert file.frames * file.channels * width <= 8 * size + 64, "promises more than there is"
    for start, stop in ((-5, 50), (file.frames - 50, file.frames + 5), (0, 1)):
        assert file.read(start, stop).shape == (file.channels, stop - start)
    end = min(file.frames, 100)
    assert file.read_raw(0, end).shape == (end, file.channels)
    step = (1 << 20) // file.channels
    for start in range(0, min(file.frames, 4 * step), step):
        file.read(start, start + step)


def seeds() -> list[bytes]:
    """A few samples in every container, and WAVs whose headers were never finished."""
    wave = np.sin(np.arange(400) / 9) * 0.5
    found = []
    for container, subtype in KINDS:
        rate = 8000 if subtype not in ("OPUS",) else 48_000
        out = io.BytesIO()
        try:
            soundfile.write(out, wave, rate, format=container, subtype=subtype)
        except soundfile.LibsndfileError:  # this libsndfile cannot write it
            continue
        found.append(b"x" + out.getvalue())
    plain = found[0][1:]
    start = plain.index(b"data")
    body = plain[12:start]
    for size in (0, 0xFFFFFFFF, 0x7FFFF000, 1 << 30):
        told = b"data" + struct.pack("<I", size)
        found.append(b"-" + plain[:start] + told + plain[start + 8 :])
    odd = b"odd " + struct.pack("<I", 3) + b"abc\0"
    tail = b"LIST" + struct.pack("<I", 4) + b"INFO"
    found.append(b"w" + plain[:12] + odd + body + plain[start:] + tail)
    wide = b"ds64" + struct.pack("<IQQQI", 28, 1 << 62, 1 << 62, 1 << 60, 0)
    told = b"data" + struct.pack("<I", 0xFFFFFFFF)
    found.append(b"w" + b"RF64" + b"\xff" * 4 + b"WAVE" + wide + body + told + plain[start + 8 :])
    return found
