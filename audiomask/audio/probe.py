"""Probe: a file's audio track according to ffprobe, and the paths of ffmpeg's programs."""

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

#: allowed containers: none that refers to other files, as playlists do
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,webm,mlp,mp3,"
    "mpc,mpc8,mpeg,mpegts,mov,mp4,m4a,3gp,3g2,mj2,mxf,nistsphere,ogg,oma,rm,sox,shn,spdif,tak,"
    "truehd,tta,voc,w64,wav,wv,xwma"
)
_LOSSLESS = ("alac", "als", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack")
#: containers without a reliable duration: it is estimated from the bit rate, or timestamps restart
_UNTIMED = (
    *("aac", "ac3", "amr", "dts", "dtshd", "eac3", "flv", "loas", "mlp", "mp3", "mpeg", "mpegts"),
    *("ogg", "truehd"),
)

#: seconds by which timestamps go back where they restart
_RESTART = 0.5


@dataclass(frozen=True)
class Sound:
    """A file's default audio track.

    Attributes:
        container: the container's name (``MOV``).
        codec: the coding's name (``AAC``).
        subtype: libsndfile's subtype for the samples of a lossless coding; else None.
        track: number of the default audio track, from 0.
        tracks: number of audio tracks.
        delay: seconds between the start of the file's earliest stream and that of the track.
        seconds: duration of the track with its delay, if the file has it.
    """

    container: str
    codec: str
    subtype: str | None
    track: int = 0
    tracks: int = 1
    delay: float = 0.0
    seconds: float | None = None


#: the track of a file that ffprobe cannot read; ffmpeg may
_UNKNOWN = Sound("FFMPEG", "UNKNOWN", None)


def ffmpeg_path() -> str | None:
    """The path of the program that pydub decodes with; None when it is not installed.

    Raises:
        AudioFileError: pydub cannot be imported.
    """
    return _program("get_encoder_name")


def ffprobe_path() -> str | None:
    """The path of the program that pydub probes files with; None when it is not installed.

    Raises:
        AudioFileError: pydub cannot be imported.
    """
    return _program("get_prober_name")


def guarded_input(path: Path, demuxer: str | None = None) -> list[str]:
    """ffmpeg's options to open a file, but no file that it refers to.

    Args:
        path: the file.
        demuxer: ffmpeg's demuxer, where it is known.
    """
    chosen = [] if demuxer is None else ["-f", demuxer]
    allowed = ["-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS]
    return [*allowed, *chosen, "-i", f"file:{path.absolute()}"]


def probe(path: Path, name: str, demuxer: str | None = None) -> Sound:
    """A file's default audio track according to ffprobe.

    Args:
        path: the file.
        name: for errors.
        demuxer: ffmpeg's demuxer, where it is known.

    Returns:
        The track; ``_UNKNOWN`` where ffprobe is missing or cannot read the file.

    Raises:
        AudioFileError: it has video and no audio.
    """
    shown = (
        "format=format_name,duration:stream=codec_type,codec_name,sample_fmt,duration,start_time"
    )
    shown += ",bits_per_raw_sample:stream_disposition=default,attached_pic"
    output = run_ffprobe(path, ["-of", "json", "-show_entries", shown], demuxer)
    try:
        info: Mapping[str, Any] = json.loads(output)
        streams = [s for s in info["streams"] if s.get("codec_type") in ("audio", "video")]
        container = str(info["format"]["format_name"]).split(",")[0].upper()
    except (LookupError, ValueError, TypeError, AttributeError):
        return _UNKNOWN
    audio = [s for s in streams if s["codec_type"] == "audio"]
    if not audio:
        if streams:
            raise AudioFileError(f"{name}: has no sound")
        return _UNKNOWN
    defaults = [number for number, s in enumerate(audio) if _has_disposition(s, "default")]
    track = defaults[0] if defaults else 0
    chosen = audio[track]
    # an attached cover has no start time
    moving = [s for s in streams if not _has_disposition(s, "attached_pic")]
    began = min((t for s in moving if (t := _number(s.get("start_time"))) is not None), default=0.0)
    begins = _number(chosen.get("start_time"))
    delay = max(begins - began, 0.0) if begins is not None else 0.0
    # Matroska has a duration of the file only, a raw stream one of the stream
    own, whole = _number(chosen.get("duration")), _number(info["format"].get("duration"))
    return Sound(
        container,
        str(chosen.get("codec_name", "unknown")).upper(),
        _subtype(chosen),
        track,
        len(audio),
        delay,
        own + delay if own else whole,
    )


def measure_duration(path: Path, name: str) -> tuple[float | None, bool]:
    """The duration of the default audio track, without decoding it.

    Containers without an index are read packet by packet.

    Returns:
        Seconds, None where ffprobe is missing or finds no audio; and whether timestamps restart, as
        those of joined files do.
    """
    try:
        sound = probe(path, name)
    except AudioFileError:
        return None, False
    seconds, restarts = sound.seconds, False
    if sound is not _UNKNOWN and (seconds is None or sound.container.lower() in _UNTIMED):
        shown = ["-select_streams", f"a:{sound.track}"]
        shown += ["-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0"]
        lengths, last = 0.0, -math.inf
        for line in run_ffprobe(path, shown).decode("ascii", "ignore").splitlines():
            time, _, length = line.partition(",")
            lengths += _number(length.strip(",")) or 0.0
            now = _number(time)
            restarts = restarts or (now is not None and now < last - _RESTART)
            last = last if now is None else now
        seconds = lengths + sound.delay if lengths else seconds
    return (seconds if seconds and seconds < math.inf else None), restarts


def run_ffprobe(path: Path, options: list[str], demuxer: str | None = None) -> bytes:
    """ffprobe's output; empty where it is missing or cannot read the file."""
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


def _has_disposition(stream: Mapping[str, Any], what: str) -> bool:
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
