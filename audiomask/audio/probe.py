"""Probe: what ffprobe tells about the sound in a file, and where ffmpeg's programs are."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomask.errors import AudioFileError

#: containers of sound alone or sound with pictures. Playlists and the like, which make ffmpeg
#: open files the user did not name, are left out on purpose.
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,webm,mlp,mp3,"
    "mpc,mpc8,mpeg,mpegts,mov,mp4,m4a,3gp,3g2,mj2,mxf,nistsphere,ogg,oma,rm,sox,shn,spdif,tak,"
    "truehd,tta,voc,w64,wav,wv,xwma"
)
_LOSSLESS = ("alac", "als", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack")
#: containers that have no times of their own: how long they are is guessed from their bit rate,
#: or told by times that may begin anew
_GUESSED = (
    *("aac", "ac3", "amr", "dts", "dtshd", "eac3", "flv", "loas", "mlp", "mp3", "mpeg", "mpegts"),
    *("ogg", "truehd"),
)

#: seconds that times go back by where they begin anew
_BACK = 0.5


@dataclass(frozen=True)
class Sound:
    """The sound of a file, as ffprobe tells of it.

    Attributes:
        container: the container's name (``MOV``).
        codec: the coding's name (``AAC``).
        subtype: libsndfile's name for the samples of a lossless coding; else None.
        track: the number of the audio track that plays by default, from 0.
        tracks: how many audio tracks there are.
        delay: seconds from the first picture, or the first sound, to that of the track.
        seconds: how long the track is with its delay, if the file tells.
    """

    container: str
    codec: str
    subtype: str | None
    track: int = 0
    tracks: int = 1
    delay: float = 0.0
    seconds: float | None = None


#: of a file that ffprobe cannot be asked about: ffmpeg itself has the last word
UNKNOWN = Sound("FFMPEG", "UNKNOWN", None)


def ffmpeg_path() -> str | None:
    """Where the program is that pydub decodes with; None when it is not installed.

    Raises:
        AudioFileError: pydub cannot be imported.
    """
    return _program("get_encoder_name")


def ffprobe_path() -> str | None:
    """Where the program is that pydub asks about files; None when it is not installed.

    Raises:
        AudioFileError: pydub cannot be imported.
    """
    return _program("get_prober_name")


def guarded_input(path: Path, demuxer: str | None = None) -> list[str]:
    """How ffmpeg's programs are told to open a file, and nothing that it points to.

    Args:
        path: the file.
        demuxer: what the file is, where ffmpeg shall not find out.
    """
    chosen = [] if demuxer is None else ["-f", demuxer]
    allowed = ["-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS]
    return [*allowed, *chosen, "-i", f"file:{path.absolute()}"]


def probe(path: Path, name: str, demuxer: str | None = None) -> Sound:
    """What ffprobe tells about a file.

    Args:
        path: the file.
        name: what to call it in errors.
        demuxer: what it is, where ffprobe shall not find out.

    Returns:
        Its sound; ``UNKNOWN`` where ffprobe is missing or cannot tell.

    Raises:
        AudioFileError: it has pictures and no sound.
    """
    shown = (
        "format=format_name,duration:stream=codec_type,codec_name,sample_fmt,duration,start_time"
    )
    shown += ",bits_per_raw_sample:stream_disposition=default,attached_pic"
    told = _ask(path, ["-of", "json", "-show_entries", shown], demuxer)
    try:
        info: Mapping[str, Any] = json.loads(told)
        streams = [s for s in info["streams"] if s.get("codec_type") in ("audio", "video")]
        container = str(info["format"]["format_name"]).split(",")[0].upper()
    except (LookupError, ValueError, TypeError, AttributeError):
        return UNKNOWN
    heard = [s for s in streams if s["codec_type"] == "audio"]
    if not heard:
        if streams:
            raise AudioFileError(f"{name}: has no sound")
        return UNKNOWN
    defaults = [number for number, s in enumerate(heard) if _disposed(s, "default")]
    track = defaults[0] if defaults else 0
    chosen = heard[track]
    # a record's cover is no picture that sound could be late for
    moving = [s for s in streams if not _disposed(s, "attached_pic")]
    began = min((t for s in moving if (t := _number(s.get("start_time"))) is not None), default=0.0)
    begins = _number(chosen.get("start_time"))
    delay = max(begins - began, 0.0) if begins is not None else 0.0
    # Matroska knows the length of the whole only, a raw stream that of the stream
    own, whole = _number(chosen.get("duration")), _number(info["format"].get("duration"))
    return Sound(
        container,
        str(chosen.get("codec_name", "unknown")).upper(),
        _subtype(chosen),
        track,
        len(heard),
        delay,
        own + delay if own else whole,
    )


def measure(path: Path, name: str) -> tuple[float | None, bool]:
    """How long the sound that plays by default is, without decoding it.

    Containers without a table of contents are gone through from packet to packet.

    Returns:
        Seconds, None where ffprobe is missing or finds no sound; and whether times in the file
        begin anew somewhere, as those of joined files do.
    """
    try:
        sound = probe(path, name)
    except AudioFileError:
        return None, False
    seconds, anew = sound.seconds, False
    if sound is not UNKNOWN and (seconds is None or sound.container.lower() in _GUESSED):
        shown = ["-select_streams", f"a:{sound.track}"]
        shown += ["-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0"]
        lengths, last = 0.0, -math.inf
        for line in _ask(path, shown, None).decode("ascii", "ignore").splitlines():
            time, _, length = line.partition(",")
            lengths += _number(length.strip(",")) or 0.0
            now = _number(time)
            anew = anew or (now is not None and now < last - _BACK)
            last = last if now is None else now
        seconds = lengths + sound.delay if lengths else seconds
    return (seconds if seconds and seconds < math.inf else None), anew


def _ask(path: Path, options: list[str], demuxer: str | None) -> bytes:
    """What ffprobe answers; nothing where it is missing or cannot read the file."""
    program = ffprobe_path()
    if program is None:
        return b""
    command = [program, "-v", "error", *options, *guarded_input(path, demuxer)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).stdout


def _program(pydub_name: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns about a missing ffmpeg; we raise
        try:
            from pydub import utils
        except ImportError as error:
            raise AudioFileError(
                f"pydub cannot be imported ({error}); reinstall audiomask with its dependencies"
            ) from error
        return shutil.which(str(getattr(utils, pydub_name)()))


def _disposed(stream: Mapping[str, Any], what: str) -> bool:
    return bool(stream.get("disposition", {}).get(what))


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _subtype(stream: Mapping[str, Any]) -> str | None:
    """The subtype of a lossless coding; unknown ones count as lossy."""
    codec = str(stream.get("codec_name"))
    if codec not in _LOSSLESS and not codec.startswith("pcm_"):
        return None
    bits = str(stream.get("bits_per_raw_sample", ""))
    wide = "PCM_24" if bits in ("20", "24") else "PCM_32"
    known = {"u8": "PCM_U8", "s16": "PCM_16", "s32": wide, "flt": "FLOAT", "dbl": "DOUBLE"}
    return known.get(str(stream.get("sample_fmt", "")).removesuffix("p"))
