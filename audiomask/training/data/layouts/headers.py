"""Headers: which audio files can be read, and how long they are, without decoding any."""

from __future__ import annotations

import dataclasses
import shutil
import warnings
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import soundfile

from audiomask.audio import wav
from audiomask.audio.decode import looks_like_text
from audiomask.audio.files import RATES
from audiomask.audio.opening import open_sound
from audiomask.errors import DataError
from audiomask.training.data.layouts.problems import below, tell
from audiomask.training.data.tracks import Track

#: what libsndfile opens
OPENED = (
    *(".wav", ".wave", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
)
#: what ffmpeg has to decode, or may have to
PROBED = (
    *(".m4a", ".m4b", ".mp4", ".aac", ".wma", ".mka", ".webm", ".ac3", ".ape", ".wv", ".tta"),
    *(".mpc", ".amr", ".w64", ".caf"),
)
#: headers read at a time: on a network drive each is a wait
THREADS = 16
#: libsndfile's frame count of a stream that does not tell its length
ENDLESS = 2**62


def is_audio(path: Path) -> bool:
    """Whether a file found in a folder is taken for audio, by its name."""
    return path.suffix.lower() in OPENED + PROBED


def measure(tracks: Iterable[Track], folder: Path) -> tuple[tuple[Track, ...], tuple[str, ...]]:
    """Find out how long tracks are, and leave out what cannot be read.

    Args:
        tracks: with any ``seconds``.
        folder: that of their source, to name files by their paths below it.

    Returns:
        The tracks of which something can be read, with the ``seconds`` of their shortest file,
        and a line of problems for each way in which files cannot be read.
    """
    tracks = list(tracks)
    files = {file for track in tracks for group in track.stems.values() for file in group}
    files.update(track.mixture for track in tracks if track.mixture is not None)
    lengths, problems = read_lengths(files, folder)
    kept = []
    for track in tracks:
        readable = {
            name: tuple(file for file in group if file in lengths)
            for name, group in track.stems.items()
        }
        stems = {name: group for name, group in readable.items() if group}
        mixture = track.mixture if track.mixture in lengths else None
        known = [lengths[file] for group in stems.values() for file in group]
        if mixture is not None:
            known.append(lengths[mixture])
        if known:
            kept.append(
                dataclasses.replace(track, stems=stems, mixture=mixture, seconds=min(known))
            )
    return tuple(kept), problems


def read_lengths(
    files: Collection[Path], folder: Path
) -> tuple[dict[Path, float], tuple[str, ...]]:
    """The lengths of files in seconds, and problems that name those left out.

    Files are left out whose header libsndfile does not open, or, of formats it does not know, in
    which ffprobe finds no sound; so are files without samples and those whose header does not
    tell their length.
    """
    ordered = sorted(files)
    probe = find_probe() if any(file.suffix.lower() in PROBED for file in ordered) else None
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda file: read_length(file, probe is not None), ordered))
    lengths = {file: s for file, s in zip(ordered, found, strict=True) if s is not None}
    broken = [file for file in ordered if file not in lengths]
    waiting = [file for file in broken if probe is None and file.suffix.lower() in PROBED]
    unreadable = [file for file in broken if file not in set(waiting)]
    return lengths, (
        *tell(
            below(folder, unreadable),
            "file cannot be read and is left out",
            "files cannot be read and are left out",
        ),
        *tell(
            below(folder, waiting),
            "file needs ffmpeg, which is not installed, and is left out",
            "files need ffmpeg, which is not installed, and are left out",
        ),
    )


def read_length(file: Path, probe: bool = True) -> float | None:
    """The length of a file in seconds; None when it is not audio or does not tell.

    Args:
        file: the file.
        probe: whether ffprobe can be asked about what libsndfile cannot open.
    """
    try:
        opened = open_sound(file)
        if opened is None:
            known = probe and file.suffix.lower() in PROBED and not looks_like_text(file)
            return probe_length(file) if known else None
        with opened:
            frames, rate = int(opened.frames), int(opened.samplerate)
        if 0 < frames < ENDLESS:
            return frames / rate if rate in RATES else None
        return unfinished_length(file)
    except (OSError, soundfile.SoundFileError):
        return None


def unfinished_length(file: Path) -> float | None:
    """The length in seconds of a WAV whose header was never finished; None for other files."""
    found = wav.find_unfinished(file)
    if found is None:
        return None
    rate = int.from_bytes(found.fmt[16:20], "little")  # in bytes, behind the chunk's name and size
    return (found.stop - found.start) / rate if rate else None


def find_probe() -> str | None:
    """Where the program is that pydub asks about files; None when it is not installed.

    Raises:
        DataError: pydub cannot be imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub warns about a missing ffmpeg; we say it ourselves
        try:
            from pydub.utils import get_prober_name
        except ImportError as error:
            raise DataError(
                f"pydub cannot be imported ({error}); reinstall audiomask with its dependencies"
            ) from error
        return shutil.which(str(get_prober_name()))


def probe_length(file: Path) -> float | None:
    """The length in seconds of the first sound that ffprobe finds in a file; None without any."""
    from pydub.utils import mediainfo_json

    try:
        info: dict[str, Any] = mediainfo_json(str(file.absolute()))
        streams = [s for s in info["streams"] if s.get("codec_type") == "audio"]
        # Matroska knows the length of the whole only, a raw stream that of the stream
        told = streams[0].get("duration") or info["format"]["duration"]
        seconds = float(told)
    except (OSError, LookupError, ValueError, TypeError, AttributeError):
        return None
    return seconds if 0 < seconds < float("inf") else None
