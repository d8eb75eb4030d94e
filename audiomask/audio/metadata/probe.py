"""Metadata by ffprobe, of files without a reader here: m4a, mkv, wma …"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from audiomask.audio import probe
from audiomask.audio.metadata.model import Layout, Metadata, Picture, Tags

#: bytes of the largest cover
_LARGEST_PICTURE = 16 << 20
_NAMES = {
    **{"TRACK": "TRACKNUMBER", "ALBUM_ARTIST": "ALBUMARTIST", "DISC": "DISCNUMBER"},
    **{"YEAR": "DATE", "WM/YEAR": "DATE", "PUBLISHER": "ORGANIZATION", "TMPO": "BPM"},
    **{"DESCRIPTION": "DESCRIPTION", "SORT_NAME": "TITLESORT", "SORT_ARTIST": "ARTISTSORT"},
}
#: tags that describe the container, and are not copied
_CODING_TAGS = (
    *("MAJOR_BRAND", "MINOR_VERSION", "COMPATIBLE_BRANDS", "HANDLER_NAME", "VENDOR_ID", "DURATION"),
    *("ITUNSMPB", "CREATION_TIME", "DEVICECONFORMANCETEMPLATE", "WMFSDKVERSION", "WMFSDKNEEDED"),
    *("ISVBR", "NUMBER_OF_BYTES", "NUMBER_OF_FRAMES", "BPS", "MEDIAFOUNDATIONVERSION", "LANGUAGE"),
)
_MASKS = {
    **{"3.0": 0x7, "2.1": 0xB, "3.1": 0xF, "4.0": 0x107, "4.1": 0x10F, "quad": 0x33, "5.0": 0x37},
    **{"quad(side)": 0x603, "5.0(side)": 0x607, "5.1": 0x3F, "5.1(side)": 0x60F, "6.0": 0x707},
    **{"6.1": 0x70F, "7.0": 0x637, "7.1": 0x63F, "7.1(wide)": 0xFF, "octagonal": 0x737},
}
_PICTURES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif"}


def read_with_ffprobe(path: Path) -> Metadata:
    """Tags, cover and layout; without ffprobe, only a sentence on what is lost."""
    if probe.ffprobe_path() is None:
        return Metadata(lost="its tags are lost: install ffprobe, which comes with ffmpeg")
    output = probe.run_ffprobe(path, ["-of", "json", "-show_format", "-show_streams"])
    try:
        info: dict[str, Any] = json.loads(output)
        streams = [s for s in info["streams"] if isinstance(s, dict)]
        general = dict(info["format"].get("tags", {}))
    except (LookupError, ValueError, TypeError, AttributeError):
        return Metadata(lost="its tags are lost: ffprobe cannot read them")
    sound = next((s for s in streams if s.get("codec_type") == "audio"), {})
    mask = _MASKS.get(str(sound.get("channel_layout", "")))
    return Metadata(
        _tags(general | dict(sound.get("tags", {}))),
        _pictures(path, streams),
        None if mask is None else Layout(mask),
    )


def _tags(found: dict[str, Any]) -> Tags:
    tags: dict[str, str] = {}
    for key, value in found.items():
        name = str(key).upper()
        text = str(value).strip()
        if text and name not in _CODING_TAGS:
            tags.setdefault(_NAMES.get(name, name), text)
    return tuple(tags.items())


def _pictures(path: Path, streams: list[dict[str, Any]]) -> tuple[Picture, ...]:
    """The first attached picture."""
    for stream in streams:
        mime = _PICTURES.get(str(stream.get("codec_name")))
        if mime and dict(stream.get("disposition", {})).get("attached_pic"):
            image = _extract(path, int(stream.get("index", 0)))
            return (Picture(image, mime),) if image else ()
    return ()


def _extract(path: Path, index: int) -> bytes:
    """The bytes of a stream, up to the largest cover's size."""
    from audiomask.audio.decode import read_command
    from audiomask.errors import AudioFileError

    try:
        command = read_command(path, str(path))[:-2]  # without its choice of the audio track
    except AudioFileError:
        return b""
    command += ["-map", f"0:{index}", "-c", "copy", "-frames:v", "1"]
    command += ["-fs", str(_LARGEST_PICTURE), "-f", "image2pipe", "-"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return done.stdout if done.returncode == 0 else b""
