"""Decoding: temporary copies of what cannot be read at random as it is.

libsndfile finds its way in uncompressed files, FLAC and ALAC, but seeks inexactly in MP3 and
Ogg: those are decoded once from start to end. What it cannot read at all, ffmpeg decodes.
"""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import soundfile

from audiomask.audio.metadata.ogg import CHANNEL_ORDER
from audiomask.audio.names import sound_name
from audiomask.audio.pcm import BITS
from audiomask.errors import AudioFileError

_BLOCK = 1 << 16
#: containers of sound alone or sound with pictures. Playlists and the like, which make ffmpeg
#: open files the user did not name, are left out on purpose.
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,webm,mp3,mpc,"
    "mpc8,mpeg,mpegts,mov,mp4,m4a,3gp,3g2,mj2,ogg,oma,rm,sox,shn,tak,truehd,tta,voc,w64,wav,wv,xwma"
)
_LOSSLESS = ("alac", "als", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack")
_ENCODERS = {
    "PCM_U8": "pcm_u8",
    "PCM_16": "pcm_s16le",
    "PCM_24": "pcm_s24le",
    "PCM_32": "pcm_s32le",
    "FLOAT": "pcm_f32le",
    "DOUBLE": "pcm_f64le",
}


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A file read from its start to its end. soundfile seeks after every read where it thinks it
    can, which is where MP3 goes wrong and where FLAC of unknown length fails."""

    def seekable(self) -> bool:
        return False


def unroll(path: Path, target: Path) -> None:
    """Decode what libsndfile can read, from start to end, into a W64 that can be read at random.

    Whole numbers stay whole numbers; everything else becomes float32, which is what the lossy
    decoders compute in.
    """
    with _Forward(sound_name(path)) as source:
        whole = source.subtype in BITS
        with soundfile.SoundFile(
            sound_name(target),
            "w",
            source.samplerate,
            source.channels,
            format="W64",
            subtype="PCM_32" if whole else "FLOAT",
        ) as out:
            dtype = "int32" if whole else "float32"
            # libsndfile leaves the channels of Vorbis and Opus in an order of their own
            order = CHANNEL_ORDER.get(source.channels) if source.format == "OGG" else None
            back = None if order is None else [order.index(n) for n in range(len(order))]
            while len(block := source.read(_BLOCK, dtype=dtype, always_2d=True)):
                out.write(block if back is None else block[:, back])


def content_of(path: Path) -> bytes:
    """The first bytes of a file, behind an ID3 tag if there is one."""
    with path.open("rb") as stream:
        head = stream.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            size = 0
            for byte in head[6:10]:
                size = size << 7 | byte & 127
            start = 10 + size
        stream.seek(start)
        return stream.read(4096)


def looks_like_text(path: Path) -> bool:
    """Whether a file begins as readable text (behind an ID3 tag, if there is one)."""
    head = content_of(path)
    if not head or any(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut by the end of the block
    return True


def decode(path: Path, target: Path, name: str) -> tuple[str, str]:
    """Decode the first audio stream of any file ffmpeg knows into a WAV.

    Args:
        path: the file.
        target: where the decoded copy goes.
        name: what to call the file in errors.

    Returns:
        The container's and the subtype's name, such as ``("MOV", "AAC")``. The subtype of a
        lossless file is libsndfile's (``PCM_16`` …) and the copy holds the same samples.

    Raises:
        AudioFileError: it is not audio, or ffmpeg or pydub is missing.
    """
    command = read_command(path, name)
    container, codec, subtype = _probe(path)
    command += ["-c:a", _ENCODERS[subtype or "FLOAT"], "-f", "wav", "-rf64", "auto"]
    command += ["-y", f"file:{target}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode != 0:
        words = last_words(done.stderr, path)
        raise AudioFileError(f"{name}: is not audio that libsndfile or ffmpeg can read{words}")
    return container, subtype or codec


def read_command(path: Path, name: str, *before: str) -> list[str]:
    """How ffmpeg is called to read a file's first audio stream, and nothing that it points to.

    Args:
        path: the file.
        name: what to call the file in errors.
        before: options of the input, such as ``-ss`` and ``-t``.

    Returns:
        The beginning of a command; how to encode and where to write is to be added.

    Raises:
        AudioFileError: the file is text, or ffmpeg or pydub is missing.
    """
    if looks_like_text(path):
        raise AudioFileError(f"{name}: is text, not audio")
    program = _ffmpeg()
    if program is None:
        raise AudioFileError(
            f"{name}: is not audio that libsndfile can read; install ffmpeg to read other formats"
        )
    command = [program, "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe"]
    command += ["-format_whitelist", _FORMATS, *before, "-i", f"file:{path.absolute()}"]
    return [*command, "-map", "0:a:0"]


def _ffmpeg() -> str | None:
    """Where the program is that pydub decodes with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns about a missing ffmpeg; we raise
        try:
            from pydub.utils import get_encoder_name
        except ImportError as error:
            raise AudioFileError(
                f"pydub cannot be imported ({error}); reinstall audiomask with its dependencies"
            ) from error
        return shutil.which(str(get_encoder_name()))


def _probe(path: Path) -> tuple[str, str, str | None]:
    """Container, codec and, for lossless ones, the subtype; unknown ones count as lossy."""
    from pydub.utils import mediainfo_json

    try:
        info: dict[str, Any] = mediainfo_json(str(path.absolute()))
        streams = [s for s in info["streams"] if s.get("codec_type") == "audio"]
        stream: dict[str, Any] = streams[0] if streams else {}
        container = str(info["format"]["format_name"]).split(",")[0].upper()
    except (OSError, LookupError, ValueError, TypeError, AttributeError):
        # ffprobe is missing or could not tell; ffmpeg itself has the last word
        return "FFMPEG", "UNKNOWN", None
    codec = str(stream.get("codec_name", "unknown"))
    subtype = None
    if codec in _LOSSLESS or codec.startswith("pcm_"):
        sample = str(stream.get("sample_fmt", "")).removesuffix("p")
        bits = str(stream.get("bits_per_raw_sample", ""))
        wide = "PCM_24" if bits in ("20", "24") else "PCM_32"
        known = {"u8": "PCM_U8", "s16": "PCM_16", "s32": wide, "flt": "FLOAT", "dbl": "DOUBLE"}
        subtype = known.get(sample)
    return container, codec.upper(), subtype


def last_words(stderr: bytes, path: Path) -> str:
    """Ffmpeg's last words, on one line and without the (temporary) file's name."""
    lines = stderr.decode("utf-8", "replace").replace(f"file:{path.absolute()}", "").splitlines()
    words = " ".join(lines[-1].split()).strip(" :") if lines else ""
    return f" ({words[:200]})" if words else ""
