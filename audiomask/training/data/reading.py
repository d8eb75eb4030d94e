"""Reading: a span of an audio file, at the cost of the span and not of the file.

Training takes a few seconds here and there out of thousands of files. Unlike
``audiomask.audio.files.AudioFile``, which is exact to the sample and therefore decodes an MP3 or
Ogg from its start, this seeks in everything: a few samples more or less do not matter here.
"""

from __future__ import annotations

import functools
import logging
import math
import multiprocessing
import struct
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch import Tensor

from audiomask.audio import decode, wav
from audiomask.audio.files import RATES
from audiomask.audio.opening import open_sound
from audiomask.audio.pcm import is_lossy
from audiomask.audio.source import ResampledSource
from audiomask.errors import AudioFileError, DataError, why

Audio = npt.NDArray[np.float32]

SAMPLE_RATE = 44100
#: libsndfile's frame count of a stream that does not tell its length
ENDLESS = 2**62
#: seconds that ffmpeg decodes before a span: AAC and its like need what came before
PREROLL = 0.1

logger = logging.getLogger("audiomask")


class SeekingSource:
    """What libsndfile can read, by seeking: an AudioSource of an open file."""

    def __init__(self, file: soundfile.SoundFile, name: str) -> None:
        self.file, self.name = file, name
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.frames = int(file.frames)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros beyond the ends.

        Raises:
            DataError: the file is damaged there, or ends before its header says so.
        """
        first, last = max(start, 0), min(stop, self.frames)
        if first >= last:
            return torch.zeros(self.channels, stop - start)
        try:
            self.file.seek(first)
            samples = self.file.read(last - first, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = str(error.error_string).strip().rstrip(".")
            seconds = first / self.sample_rate
            raise DataError(f"{self.name}: is damaged near {seconds:.1f} s: {reason}") from error
        # an MP3's length may be an estimate; everything else promises what it holds
        if len(samples) < last - first and not is_lossy(self.file.subtype):
            seconds = (first + len(samples)) / self.sample_rate
            raise DataError(f"{self.name}: is cut short at {seconds:.1f} s")
        return place(samples.T, first - start, stop - start)


class PipedSource:
    """What ffmpeg alone can read, one process a span: an AudioSource of unknown length."""

    frames = ENDLESS

    def __init__(self, file: Path) -> None:
        self.path = file
        self.sample_rate, self.channels = pipe_format(file)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros beyond the ends.

        Raises:
            DataError: ffmpeg cannot decode it.
        """
        if stop <= 0:
            return torch.zeros(self.channels, stop - start)
        early = max(0, start - math.ceil(PREROLL * self.sample_rate))
        seconds = (early / self.sample_rate, (stop - early) / self.sample_rate)
        _, samples = decode_span(self.path, *seconds)
        samples = samples[:, max(start, 0) - early : stop - early]
        return place(samples, max(-start, 0), stop - start)


def place(samples: Audio, offset: int, length: int) -> Tensor:
    """Samples [C, n] at an offset in silence of a length [C, length]; what is no number is 0."""
    out = torch.zeros(len(samples), length)
    finite = torch.nan_to_num(torch.from_numpy(samples), nan=0.0, posinf=0.0, neginf=0.0)
    out[:, offset : offset + samples.shape[1]] = finite
    return out


@functools.lru_cache(maxsize=4096)
def pipe_format(file: Path) -> tuple[int, int]:
    """Sample rate and channels of what ffmpeg makes of a file; asked once a process."""
    rate, samples = decode_span(file, 0, PREROLL)
    return rate, len(samples)


def decode_span(file: Path, start: float, seconds: float) -> tuple[int, Audio]:
    """Have ffmpeg decode a span.

    Returns:
        The sample rate and the samples [C, n], fewer than asked for where the file ends.

    Raises:
        DataError: it is not audio, or ffmpeg is missing.
    """
    span = ["-t", f"{seconds:.6f}"]
    if start > 0:  # seeking to 0 would drop the packet before it, which AAC begins with
        span += ["-ss", f"{start:.6f}"]
    try:
        command = decode.read_command(file, str(file), *span)
    except (AudioFileError, OSError) as error:
        raise DataError(str(error)) from error
    # AU's header, unlike WAV's, has all that is needed at fixed places
    command += ["-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode or len(done.stdout) < 24:
        reason = decode.last_words(done.stderr, file)
        raise DataError(f"{file}: is not audio that libsndfile or ffmpeg can read{reason}")
    begin, _, _, rate, channels = struct.unpack(">4x5I", done.stdout[:24])
    body = done.stdout[begin:]
    whole = len(body) // (4 * channels) * channels
    samples = np.frombuffer(body, ">f4", whole).reshape(-1, channels)
    return rate, samples.T.astype(np.float32)


def read_span(file: Path, start: int, stop: int, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Samples [start, stop) of a file, reading only what they need.

    Args:
        file: any audio file that libsndfile or ffmpeg reads.
        start: first sample, counted at ``sample_rate``; may lie before the beginning.
        stop: the sample after the last; may lie beyond the end.
        sample_rate: what to resample to.

    Returns:
        float32 [C, stop - start]; zeros beyond the ends, and where samples are not finite.

    Raises:
        DataError: the file is missing, not audio, or damaged there.
    """
    with open_source(file) as source:
        return ResampledSource(source, sample_rate).read(start, stop)


@contextmanager
def open_source(file: Path) -> Iterator[SeekingSource | PipedSource]:
    """A file as an AudioSource at its own rate.

    Raises:
        DataError: the file is missing or not audio.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        # unfinished headers give libsndfile a wrong length; ffmpeg goes by the file's
        opened = None if wav.find_unfinished(file) else open_sound(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {why(error)}") from error
    with opened or nullcontext():
        seekable = opened is not None and opened.frames < ENDLESS
        source = SeekingSource(opened, str(file)) if seekable else PipedSource(file)
        if source.sample_rate not in RATES:
            raise DataError(f"{file}: has an impossible sample rate: {source.sample_rate}")
        yield source


class Reader:
    """``read_span`` for a data set: a file that cannot be read is named once, then left out.

    The list of unreadable files lies in memory that all workers of a loader share, forked or
    spawned, so that each is named by one of them only.

    Args:
        files: all that will be asked for.
        sample_rate: what to resample to.
    """

    def __init__(self, files: Iterable[Path], sample_rate: int = SAMPLE_RATE) -> None:
        self.sample_rate = sample_rate
        self._number = {file: number for number, file in enumerate(dict.fromkeys(files))}
        self._bad = torch.zeros(len(self._number), dtype=torch.uint8)
        self._bad.share_memory_()  # type: ignore[no-untyped-call]
        # one made for forked workers could not be handed to spawned ones
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
