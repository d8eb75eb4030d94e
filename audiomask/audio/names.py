"""File names: which are audio by their endings, and how ``soundfile`` takes them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

#: endings of audio files
_SOUND_ENDINGS = (
    # uncompressed
    *(".wav", ".wave", ".bwf", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
    *(".voc", ".8svx", ".sph", ".nist", ".ircam", ".paf", ".avr", ".sds"),
    # lossless
    *(".flac", ".wv", ".ape", ".tta", ".tak", ".shn", ".alac", ".mlp", ".thd", ".dsf", ".dff"),
    # lossy
    *(".mp3", ".mp2", ".mp1", ".mpa", ".m2a", ".ogg", ".oga", ".mogg", ".opus", ".spx"),
    *(".m4a", ".m4b", ".m4r", ".aac", ".adts", ".loas", ".wma", ".mka", ".weba", ".mpc", ".mp+"),
    *(".ac3", ".eac3", ".ec3", ".dts", ".dtshd", ".amr", ".ra", ".oma", ".aa3"),
)
#: endings of video files
_VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".ogv", ".avi"),
    *(".wmv", ".asf", ".flv", ".mpg", ".mpeg", ".vob", ".m2ts", ".mts", ".rm", ".rmvb", ".mxf"),
)
#: endings that count as audio in a folder; a file given by name may have any
AUDIO_ENDINGS = (*_SOUND_ENDINGS, *_VIDEO_ENDINGS)
#: most endings in ``ending_counts``
_LISTED = 6


def is_audio(path: Path) -> bool:
    """Whether a file in a folder is audio, by its ending."""
    return path.suffix.lower() in AUDIO_ENDINGS


def ending_counts(paths: Iterable[Path]) -> str:
    """Number of files by ending, the most frequent first: ``3 .jpg, 1 .txt``."""
    counts = Counter(path.suffix.lower() or "without ending" for path in paths)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"{number} {ending}" for ending, number in ordered[:_LISTED]]
    if others := sum(number for _, number in ordered[_LISTED:]):
        listed.append(f"{others} of other endings")
    return ", ".join(listed)


def soundfile_name(path: Path) -> str | bytes:
    """A path for ``soundfile``, which takes names that are not UTF-8 as bytes only."""
    return str(path) if os.name == "nt" else os.fsencode(path)
