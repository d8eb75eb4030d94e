"""Names of files: which are audio by their endings, and how libsndfile's binding takes them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

#: endings of files that hold sound alone
SOUND_ENDINGS = (
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
#: endings of files that hold pictures and, as a rule, sound
VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".ogv", ".avi"),
    *(".wmv", ".asf", ".flv", ".mpg", ".mpeg", ".vob", ".m2ts", ".mts", ".rm", ".rmvb", ".mxf"),
)
#: what counts as audio in a folder; a file that is named may be called anything
AUDIO_ENDINGS = (*SOUND_ENDINGS, *VIDEO_ENDINGS)
#: so many endings are listed one by one
_LISTED = 6


def is_audio(path: Path) -> bool:
    """Whether a file found in a folder is taken for audio, by its name."""
    return path.suffix.lower() in AUDIO_ENDINGS


def ending_counts(paths: Iterable[Path]) -> str:
    """How many files have which ending, the most frequent first: ``3 .jpg, 1 .txt``."""
    counts = Counter(path.suffix.lower() or "without ending" for path in paths)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"{number} {ending}" for ending, number in ordered[:_LISTED]]
    if others := sum(number for _, number in ordered[_LISTED:]):
        listed.append(f"{others} of other endings")
    return ", ".join(listed)


def soundfile_name(path: Path) -> str | bytes:
    """A path for ``soundfile``, which refuses names that are no UTF-8 unless they are bytes.

    Such names come from disks written long ago, in Latin-1 for instance.
    """
    return str(path) if os.name == "nt" else os.fsencode(path)
