"""Headers: which audio files are readable, and their durations, without decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile

from audiomask.audio import probe
from audiomask.audio.decode import looks_like_text
from audiomask.audio.opening import open_sound
from audiomask.data.layouts.problems import summarize
from audiomask.data.read_method import ReadMethod, find_read_method
from audiomask.data.tracks import Track
from audiomask.errors import AudioFileError, DataError

#: endings that libsndfile usually reads
_OPENED = (".wav", ".wave", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au", ".snd")
#: headers read in parallel, for network drives
_THREADS = 16


def measure(tracks: Iterable[Track], folder: Path) -> tuple[tuple[Track, ...], tuple[str, ...]]:
    """Measure the durations of tracks, and leave out unreadable files.

    Args:
        tracks: with any ``seconds``.
        folder: their source's, to which file names are relative.

    Returns:
        The tracks with readable files, their ``seconds`` that of the shortest one, and a line of
        problems for each reason why files are unreadable.
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
    """Durations of files in seconds, and problems that name those left out.

    Left out are files that neither libsndfile nor ffmpeg can read, files without samples, and those
    of unknown duration.
    """
    ordered = sorted(files)
    equipped = probe.ffmpeg_path() is not None and probe.ffprobe_path() is not None
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(read_length, ordered))
    lengths = {file: s for file, s in zip(ordered, found, strict=True) if s is not None}
    broken = [file for file in ordered if file not in lengths]
    waiting = [] if equipped else [file for file in broken if _may_need_ffmpeg(file)]
    unreadable = [file for file in broken if file not in set(waiting)]
    return lengths, (
        *summarize(
            folder,
            unreadable,
            "file cannot be read and is left out",
            "files cannot be read and are left out",
        ),
        *summarize(
            folder,
            waiting,
            "file needs ffmpeg, which is not installed, and is left out",
            "files need ffmpeg, which is not installed, and are left out",
        ),
    )


def read_length(file: Path) -> float | None:
    """A file's duration in seconds; None when it is not audio, unknown, or needs ffmpeg.

    Raises:
        DataError: pydub cannot be imported.
    """
    try:
        found = find_read_method(file)
    except (OSError, soundfile.SoundFileError):
        return None
    except AudioFileError as error:
        if isinstance(error.__cause__, ImportError):
            raise DataError(str(error)) from error
        return None
    return (
        found.seconds
        if found.method is ReadMethod.seek or probe.ffmpeg_path() is not None
        else None
    )


def _may_need_ffmpeg(file: Path) -> bool:
    """Whether ffmpeg might read a file that could not be read."""
    try:
        return not looks_like_text(file) and (
            open_sound(file) is not None or file.suffix.lower() not in _OPENED
        )
    except OSError:
        return False
