"""Audio files of any format, with exact random access."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import soundfile
import torch
from torch import Tensor

from audiomask.audio import pipes
from audiomask.audio.opening import Opening, error_reason
from audiomask.audio.pcm import BITS, Raw, is_lossy
from audiomask.audio.writer import AudioWriter
from audiomask.errors import AudioFileError, why

#: rates beyond these are damaged headers, and resampling them would take forever
RATES = range(1_000, 1_000_001)


class AudioFile:
    """An audio source on disk or from standard input; a context manager.

    Pipes, compressed files without exact seeking and files with unfinished headers are copied to
    a temporary file first, which is removed with the object or the process. Memory use is that of
    the samples read.

    Args:
        path: the file, or ``"-"`` for standard input.
        check: called before samples are read; may raise to interrupt reading.

    Attributes:
        path: as it was given.
        name: for messages.
        sample_rate: samples a second.
        channels: number of channels.
        frames: samples per channel, at least 1.
        format: the container, as libsndfile (``WAV``) or ffmpeg (``MOV``) names it.
        subtype: how the samples are stored (``PCM_16``, ``FLOAT``, ``VORBIS``, ``AAC`` …).
        nonfinite: whether ``read`` has found samples that are not finite.
        location: the original file or, for a pipe, its spool, which has this name only while the
            object is being constructed.
        notes: phrases on how it is read (``audio track 2 of 2``).
        warnings: phrases on damage in spite of which it can be read.

    Raises:
        AudioFileError: it is missing, empty, a folder, not audio, damaged, or has no samples.
        UsageError: standard input is a terminal.
    """

    def __init__(self, path: Path | str, check: Callable[[], None] = lambda: None) -> None:
        self.path, self._check_reading = path, check
        self.name = pipes.STDIN_NAME if str(path) == "-" else str(path)
        self.nonfinite = False
        self.notes: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self._temporary: list[Path] = []
        self._file: soundfile.SoundFile | None = None
        self._spool: BinaryIO | None = None
        try:
            self.location = self._locate()
            if self.location in self._temporary:
                self._spool = self.location.open("rb")
            opening = Opening(self.name, lambda: self._keep(pipes.temporary_file()))
            self._file = opening.open(self.location)
            self.format, self.subtype = opening.format, opening.subtype
            self.notes, self.warnings = tuple(opening.notes), tuple(opening.warnings)
            self._check(self.location)
            for copy in self._temporary:
                pipes.discard(copy)  # readable while open, and gone even if the process is killed
            self._temporary = [copy for copy in self._temporary if copy.exists()]
        except BaseException:
            self.close()
            raise

    @property
    def lossy(self) -> bool:
        """Whether the subtype is a lossy coding."""
        return is_lossy(self.subtype)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside the file.

        Samples that are not finite are read as 0 and set ``nonfinite``.
        """
        first, last = max(start, 0), min(stop, self.frames)
        out = torch.zeros(self.channels, stop - start)
        if first >= last:
            return out
        inside = torch.from_numpy(self._read(first, last, "float32")).T
        if self.subtype not in BITS:
            finite = torch.isfinite(inside)
            if not finite.all():
                self.nonfinite = True
                inside = torch.where(finite, inside, 0.0)
        out[:, first - start : last - start] = inside
        return out

    def read_raw(self, start: int, stop: int) -> Raw:
        """Samples [start, stop) exactly as stored, [stop - start, C].

        Returns:
            left-justified int32 for integer subtypes, else float64.

        Raises:
            ValueError: the span is not inside the file.
        """
        if not 0 <= start <= stop <= self.frames:
            raise ValueError(f"samples [{start}, {stop}) are not within [0, {self.frames})")
        return self._read(start, stop, "int32" if self.subtype in BITS else "float64")

    @property
    def spooled(self) -> bool:
        """Whether it came through a pipe and so has no path."""
        return self._spool is not None

    @contextmanager
    def open_original(self) -> Iterator[BinaryIO]:
        """The original file as a stream, at its start.

        Raises:
            AudioFileError: it cannot be read any longer.
        """
        if self._spool is not None:
            self._spool.seek(0)
            yield self._spool
            return
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(Path(self.path).open("rb"))
            except OSError as error:
                raise AudioFileError(f"{self.name}: cannot be read: {why(error)}") from error
            yield stream

    def close(self) -> None:
        """Close the file and remove its temporary copies. May be called twice."""
        if self._spool is not None:
            self._spool.close()
        if self._file is not None:
            self._file.close()
            self._file = None
        for copy in self._temporary:
            pipes.discard(copy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AudioFile({str(self.path)!r})"

    def _locate(self) -> Path:
        """The file to open: the named one or, for a pipe, its spool."""
        if str(self.path) == "-":
            return self._keep(pipes.spool(pipes.stdin_stream(), self.name))
        path = Path(self.path)
        if pipes.check_readable(path):
            with path.open("rb") as stream:
                return self._keep(pipes.spool(stream, self.name))
        if path.stat().st_size == 0:
            raise AudioFileError(f"{self.name}: is empty")
        return path

    def _check(self, location: Path) -> None:
        """Read the header, and refuse it if its last sample is missing."""
        file = self._opened
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.frames = int(file.frames)
        if self.frames == 0:
            raise AudioFileError(f"{self.name}: holds no samples")
        if self.sample_rate not in RATES:
            raise AudioFileError(f"{self.name}: has an impossible sample rate: {self.sample_rate}")
        try:
            self._read(self.frames - 1, self.frames, "float32")
        except AudioFileError as error:
            size = os.path.getsize(location)
            raise AudioFileError(
                f"{self.name}: is cut short: its header promises {self.frames} samples,"
                f" which are not in its {size} bytes"
            ) from error

    @property
    def _opened(self) -> soundfile.SoundFile:
        if self._file is None:
            raise ValueError(f"{self.name} is closed")
        return self._file

    def _read(self, start: int, stop: int, dtype: str) -> Raw:
        self._check_reading()
        file = self._opened
        try:
            if file.tell() != start:
                file.seek(start)
            samples: Raw = file.read(stop - start, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._damaged(start, error_reason(error)) from error
        if len(samples) != stop - start:
            raise self._damaged(start + len(samples), "the samples end")
        return samples

    def _damaged(self, frame: int, why: str) -> AudioFileError:
        seconds = frame / self.sample_rate
        return AudioFileError(f"{self.name}: is damaged near {seconds:.3f} s: {why}")

    def _keep(self, temporary: Path) -> Path:
        self._temporary.append(temporary)
        return temporary


def read_audio(path: Path | str) -> tuple[Tensor, int]:
    """Read a whole file.

    Returns:
        Samples as float32 Tensor [C, T], and the sample rate.

    Raises:
        AudioFileError: see ``AudioFile``.
    """
    with AudioFile(path) as file:
        return file.read(0, file.frames), file.sample_rate


def write_audio(
    path: Path | str,
    audio: Tensor,
    sample_rate: int,
    subtype: str | None = None,
    overwrite: bool = True,
) -> None:
    """Write a whole file, in the format its name ends with.

    Args:
        path: the file, or ``"-"`` for WAV on standard output.
        audio: float Tensor [C, T], clipped to full scale, ±1.
        sample_rate: samples a second.
        subtype: libsndfile's name; the format's usual one when None.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the file exists and may not be replaced, or the format is unknown.
        AudioFileError: it cannot be written.
    """
    if audio.dim() != 2:
        raise ValueError(f"audio must be [channels, samples], not {tuple(audio.shape)}")
    channels, frames = audio.shape
    with AudioWriter(
        path, sample_rate, channels, subtype, overwrite=overwrite, frames=frames
    ) as writer:
        for start in range(0, frames, 1 << 16):
            writer.write(audio[:, start : start + (1 << 16)])
