"""Reading of spans of audio files at the cost of the span.

Training reads a few seconds at a time of thousands of files. ``audiomask.audio.files.AudioFile`` is
exact to the sample and therefore decodes an MP3 or Ogg from its start. Readers here seek in all
formats, and may be off by a few samples.
"""

from __future__ import annotations

import functools
import logging
import math
import multiprocessing
import os
import struct
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch import Tensor

from audiomask.audio import decode, probe
from audiomask.audio.files import RATES, AudioFile
from audiomask.audio.opening import error_reason, open_sound
from audiomask.audio.pcm import is_lossy
from audiomask.audio.quiet import quiet_decoders
from audiomask.audio.source import ResampledSource
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.read_method import ENDLESS, ReadMethod, find_read_method
from audiomask.errors import AudioFileError, DataError, why

_Audio = npt.NDArray[np.float32]

#: seconds that ffmpeg decodes before a span, for decoders with memory (AAC, MP3)
_PREROLL = 0.5

logger = logging.getLogger("audiomask")


class SeekingSource:
    """An AudioSource of a file in which libsndfile seeks."""

    def __init__(self, file: soundfile.SoundFile, name: str) -> None:
        self.file, self.name = file, name
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.frames = int(file.frames)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros beyond the ends.

        Raises:
            DataError: the file is damaged there, or truncated.
        """
        first, last = max(start, 0), min(stop, self.frames)
        if first >= last:
            return torch.zeros(self.channels, stop - start)
        try:
            with quiet_decoders():
                self.file.seek(first)
                samples = self.file.read(last - first, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            where = f"{self.name}: is damaged near {first / self.sample_rate:.1f} s"
            raise DataError(f"{where}: {error_reason(error)}") from error
        # an MP3's length may be an estimate
        if len(samples) < last - first and not is_lossy(self.file.subtype):
            seconds = (first + len(samples)) / self.sample_rate
            raise DataError(f"{self.name}: is cut short at {seconds:.1f} s")
        return _pad_to(samples.T, first - start, stop - start)


class _PipedSource:
    """An AudioSource of a file that ffmpeg reads, one process a span; of unknown length."""

    frames = ENDLESS

    def __init__(self, file: Path) -> None:
        self.path = file
        self.sample_rate, self.channels, self.track, delay = _pipe_format(file)
        #: samples of silence before a track that begins later than the video
        self.delay = round(delay * self.sample_rate)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros beyond the ends.

        Raises:
            DataError: ffmpeg cannot decode it.
        """
        if stop <= self.delay:
            return torch.zeros(self.channels, stop - start)
        begin = start - math.ceil(_PREROLL * self.sample_rate)
        # seeking to the track's start would drop AAC's priming packet
        begin, origin = (begin, begin) if begin > self.delay else (0, self.delay)
        seconds = (begin / self.sample_rate, (stop - begin) / self.sample_rate + _PREROLL)
        _, samples = _decode_span(self.path, *seconds, self.track)
        first = max(start, origin)
        return _pad_to(samples[:, first - origin : stop - origin], first - start, stop - start)


class _WholeSource:
    """An AudioSource of a file that must be decoded from start to end.

    The last few such files stay decoded, as temporary files.
    """

    def __init__(self, file: Path) -> None:
        try:
            # by process: forked processes would share the position in the file
            self.file = _decoded(file, os.getpid())
        except AudioFileError as error:
            raise DataError(str(error)) from error
        self.sample_rate, self.channels = self.file.sample_rate, self.file.channels
        self.frames = self.file.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros beyond the ends."""
        with _one_reader:
            return self.file.read(start, stop)


_one_reader = threading.Lock()


@functools.lru_cache(maxsize=8)
def _decoded(file: Path, process: int) -> AudioFile:
    """A file decoded as a whole, by this process."""
    return AudioFile(file)


def _pad_to(samples: _Audio, offset: int, length: int) -> Tensor:
    """Samples [C, n] at an offset in zeros [C, length]; what is not finite becomes 0."""
    out = torch.zeros(len(samples), length)
    finite = torch.nan_to_num(torch.from_numpy(samples), nan=0.0, posinf=0.0, neginf=0.0)
    out[:, offset : offset + samples.shape[1]] = finite
    return out


@functools.lru_cache(maxsize=4096)
def _pipe_format(file: Path) -> tuple[int, int, int, float]:
    """Sample rate, channels, default track and its delay in seconds, as ffmpeg decodes a file.

    Cached by process.
    """
    try:
        sound = probe.probe(file, str(file))
    except AudioFileError as error:
        raise DataError(str(error)) from error
    rate, samples = _decode_span(file, 0, sound.delay + _PREROLL, sound.track)
    return rate, len(samples), sound.track, sound.delay


def _decode_span(file: Path, start: float, seconds: float, track: int = 0) -> tuple[int, _Audio]:
    """Decode a span by ffmpeg.

    Returns:
        The sample rate and the samples [C, n], fewer than requested where the file ends.

    Raises:
        DataError: it is not audio, or ffmpeg is missing.
    """
    span = ["-t", f"{seconds:.6f}"]
    if start > 0:  # seeking to 0 would drop AAC's priming packet
        span += ["-ss", f"{start:.6f}"]
    try:
        command = decode.read_command(file, str(file), *span, track=track)
    except (AudioFileError, OSError) as error:
        raise DataError(str(error)) from error
    # AU's header, unlike WAV's, has a fixed layout
    command += ["-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode or len(done.stdout) < 24:
        raise DataError(str(decode.ffmpeg_error(done.stderr, file, str(file))))
    begin, _, _, rate, channels = struct.unpack(">4x5I", done.stdout[:24])
    body = done.stdout[begin:]
    whole = len(body) // (4 * channels) * channels
    samples = np.frombuffer(body, ">f4", whole).reshape(-1, channels)
    return rate, samples.T.astype(np.float32)


def read_span(file: Path, start: int, stop: int, sample_rate: int = DEFAULT_SAMPLE_RATE) -> Tensor:
    """Samples [start, stop) of a file, reading only these.

    Args:
        file: any audio file that libsndfile or ffmpeg reads.
        start, stop: samples at ``sample_rate``; may lie beyond the file's ends.
        sample_rate: to resample to, in Hz.

    Returns:
        float32 [C, stop - start]; zeros beyond the ends, and where samples are not finite.

    Raises:
        DataError: the file is missing, not audio, or damaged there.
    """
    with open_source(file) as source:
        return ResampledSource(source, sample_rate).read(start, stop)


@contextmanager
def open_source(file: Path) -> Iterator[SeekingSource | _PipedSource | _WholeSource]:
    """A file as an AudioSource at its own rate.

    Raises:
        DataError: the file is missing or not audio.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        method = find_read_method(file).method
        opened = open_sound(file) if method is ReadMethod.seek else None
    except AudioFileError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {why(error)}") from error
    with opened or nullcontext():
        source: SeekingSource | _PipedSource | _WholeSource
        if method is ReadMethod.whole:
            source = _WholeSource(file)
        else:
            source = _PipedSource(file) if opened is None else SeekingSource(opened, str(file))
        if source.sample_rate not in RATES:
            raise DataError(f"{file}: has an impossible sample rate: {source.sample_rate}")
        yield source


class Reader:
    """``read_span`` for a data set: an unreadable file is logged once, then skipped.

    The list of unreadable files is in memory shared by all workers of a loader, forked or spawned,
    so that only one of them logs each.

    Args:
        files: all files to be read.
        sample_rate: to resample to, in Hz.
    """

    def __init__(self, files: Iterable[Path], sample_rate: int = DEFAULT_SAMPLE_RATE) -> None:
        self.sample_rate = sample_rate
        self._number = {file: number for number, file in enumerate(dict.fromkeys(files))}
        self._bad = torch.zeros(len(self._number), dtype=torch.uint8)
        self._bad.share_memory_()  # type: ignore[no-untyped-call]
        # a lock of the fork context could not be passed to spawned workers
        self._lock = multiprocessing.get_context("spawn").Lock()

    def read(self, file: Path, start: int, stop: int) -> Tensor | None:
        """Samples [start, stop) as ``read_span`` gives them; None for an unreadable file."""
        number = self._number[file]
        if self._bad[number]:
            return None
        try:
            return read_span(file, start, stop, self.sample_rate)
        except DataError as error:
            with self._lock:
                known = bool(self._bad[number])
                self._bad[number] = 1
            if not known:
                logger.warning("%s; left out", error)
            return None
