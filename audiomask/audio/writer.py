"""Audio writer: files written block by block that appear complete or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile
import torch
from torch import Tensor

from audiomask.audio import pipes
from audiomask.audio.aac import CODING, CONTAINER, AACFile
from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.audio.bitrate import encoder_settings
from audiomask.audio.formats import choose_format
from audiomask.audio.metadata.model import Metadata
from audiomask.audio.metadata.ogg import CHANNEL_ORDER
from audiomask.audio.metadata.riff import make_chunks
from audiomask.audio.metadata.writing import add_metadata
from audiomask.audio.names import soundfile_name
from audiomask.audio.pcm import (
    BITS,
    FLOATING,
    Raw,
    count_clipped,
    requantize,
    to_floats,
    to_integers,
)
from audiomask.audio.wav import LIMIT, WIDTHS, WavStream
from audiomask.errors import AudioFileError, UsageError

# libsndfile's Vorbis encoder overflows the stack on longer blocks.
_BLOCK_SAMPLES = 1 << 14
# Containers of 32-bit sizes, which libsndfile lets overflow.
_SMALL = ("AIFF", "AU")
_WAVE = ("WAV", "RF64")


class AudioWriter:
    """Write audio block by block; a context manager.

    A file is written under a hidden name beside its own, renamed on a clean exit and removed on an
    exception. ``"-"`` and named pipes take a WAV stream, whose header has the length if ``frames``
    is given or the stream is a file.

    Args:
        path: the file, or ``"-"`` for standard output. Missing folders are made.
        sample_rate: samples a second.
        channels: number of channels.
        subtype: how to store samples; the format's usual one when None.
        format: an ending such as ``"wav"`` or ``"flac"``; taken from the path when None.
        overwrite: whether an existing file may be replaced.
        frames: samples per channel to come, if known.
        metadata: of the recording; stored as far as the format can.
        bitrate: bits a second of a lossy format; the encoder's default when None.

    Attributes:
        clipped: samples so far that lay beyond full scale and were clipped.
        frames: samples per channel written so far.
        format: the container.
        subtype: how samples are stored.
        lost: on exit, which metadata the format could not hold; ``""`` for none.

    Raises:
        UsageError: the file exists and may not be replaced, or format, subtype or bitrate is
            impossible.
        AudioFileError: (later) the format cannot hold this rate or these channels, or the
            system will not write. BrokenPipeError of standard output passes through.
    """

    def __init__(
        self,
        path: Path | str,
        sample_rate: int,
        channels: int,
        subtype: str | None = None,
        format: str | None = None,
        overwrite: bool = False,
        frames: int | None = None,
        metadata: Metadata | None = None,
        bitrate: int | None = None,
    ) -> None:
        self.path, self.sample_rate, self.channels = path, sample_rate, channels
        self.clipped = self.frames = 0
        self._promised = frames
        self._metadata = metadata or Metadata()
        self.lost = ""
        self._stdout = str(path) == "-"
        self.name = pipes.STDOUT_NAME if self._stdout else str(path)
        self._atomic = None if self._stdout else AtomicFile(Path(path), overwrite)
        streamed = self._atomic is None or self._atomic.special
        self.format, usual = choose_format(path, format, streamed)
        self.subtype = subtype or usual
        self._ours = self.format in _WAVE and self.subtype in WIDTHS
        self._coded = self.format == CONTAINER
        if streamed and not self._ours:
            raise UsageError(f"{self.name}: takes only WAV with one of {', '.join(WIDTHS)}")
        known = (CODING,) if self._coded else soundfile.available_subtypes(self.format)
        if self.subtype not in known:
            listed = ", ".join(known)
            raise UsageError(f"{self.format} cannot store {self.subtype}; choose one of {listed}")
        self._settings = encoder_settings(self.subtype, bitrate, sample_rate, channels)
        self._order = CHANNEL_ORDER.get(channels) if self.format == "OGG" else None
        self._out: WavStream | AACFile | soundfile.SoundFile | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            try:
                self._open(stack)
            except OSError as error:
                raise self._failed(error) from error
            except soundfile.LibsndfileError as error:
                raise AudioFileError(
                    f"{self.name}: {self.format} with {self.subtype} cannot hold {self.channels}"
                    f" channels at {self.sample_rate} Hz; choose another format, such as wav"
                ) from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # Before the stack unwinds, so that a failure removes the file.
            if kind is None and self._out is not None:
                if isinstance(self._out, AACFile):
                    self._out.finish()
                else:
                    self._out.close()
                    self._add_metadata()
                    self._check_end()
        except BaseException as failed:
            self._unwind(type(failed), failed, failed.__traceback__)
            raise self._failed(failed) from failed
        self._unwind(kind, error, trace)

    def write(self, audio: Tensor) -> None:
        """Append samples, clipped to full scale unless the subtype is floating.

        Args:
            audio: float Tensor [C, n].
        """
        if audio.dim() != 2 or audio.shape[0] != self.channels:
            raise ValueError(f"expected [{self.channels}, n], not {tuple(audio.shape)}")
        self.clipped += count_clipped(audio, self.subtype)
        if self.subtype in BITS:
            self._emit(to_integers(audio, self.subtype))
            return
        samples = audio.detach().T.cpu()
        if self.subtype not in FLOATING:
            samples = samples.clamp(-1, 1)
        self._emit(samples.contiguous().numpy())

    def write_raw(self, samples: Raw) -> None:
        """Append samples as ``AudioFile.read_raw`` gives them, [n, C].

        They are stored bit for bit if the subtype can hold them, else rounded.
        """
        if samples.ndim != 2 or samples.shape[1] != self.channels:
            raise ValueError(f"expected [n, {self.channels}], not {samples.shape}")
        if samples.dtype != np.int32:
            if self.subtype in FLOATING:
                self._emit(samples)
            else:
                self.write(torch.from_numpy(samples.T))
        elif self.subtype in BITS:
            self._emit(requantize(samples, self.subtype))
        else:
            self._emit(to_floats(samples))

    def _open(self, stack: ExitStack) -> None:
        if self._atomic is None:
            stream = pipes.stdout_stream()
            self._out = self._wav(stream, pipes.can_seek(stream))
            return
        temporary = stack.enter_context(self._atomic)
        if self._coded:
            self._out = AACFile(
                temporary,
                self.name,
                self.sample_rate,
                self.channels,
                self._metadata,
                **self._settings,
            )
            stack.callback(self._out.close)
            self.lost = self._out.lost
            return
        if not self._ours:
            self._out = soundfile.SoundFile(
                soundfile_name(temporary),
                "w",
                self.sample_rate,
                self.channels,
                subtype=self.subtype,
                format=self.format,
                **self._settings,
            )
            stack.callback(self._out.close)
            return
        file = stack.enter_context(temporary.open("wb"))
        self._out = self._wav(file, not self._atomic.special)

    def _add_metadata(self) -> None:
        if not self._ours and self._atomic is not None:
            self.lost = add_metadata(
                self._atomic.temporary, self.format, self._metadata, self.channels
            )

    def _check_end(self) -> None:
        """Read the last sample back: libsndfile writes the last bytes of FLAC and Ogg on closing,
        and reports no error when the disk is full."""
        if self._ours or self._atomic is None or not self.frames:
            return
        with soundfile.SoundFile(soundfile_name(self._atomic.temporary)) as written:
            written.seek(self.frames - 1)
            if len(written.read(1)) != 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _wav(self, stream: BinaryIO, seekable: bool) -> WavStream:
        return WavStream(
            stream,
            self.sample_rate,
            self.channels,
            self.subtype,
            self._promised,
            seekable,
            make_chunks(self._metadata),
            self._metadata.layout,
            wide=self.format == "RF64",
        )

    def _emit(self, samples: Raw) -> None:
        if self._out is None:
            raise ValueError("an AudioWriter is used inside its with statement")
        step = max(_BLOCK_SAMPLES // self.channels, 1)
        size = (self.frames + len(samples)) * self.channels * WIDTHS.get(self.subtype, 1)
        if self._order is not None:
            samples = samples[:, self._order]
        if self.format in _SMALL and size > LIMIT - 4096:
            raise AudioFileError(f"{self.name}: {self.format} ends at 4 GiB; choose wav")
        try:
            for start in range(0, len(samples), step):
                self._out.write(samples[start : start + step])
        except (OSError, soundfile.LibsndfileError, AssertionError) as error:
            raise self._failed(error) from error
        self.frames += len(samples)

    def _unwind(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open, then rename the file or, after an error, remove it."""
        self._out = None
        try:
            self._stack.__exit__(kind, error, trace)
        except (OSError, soundfile.LibsndfileError) as failed:
            if kind is None:
                raise self._failed(failed) from failed
            # The file is being removed anyway; the first error counts.

    def _failed(self, error: BaseException) -> BaseException:
        """The error to raise for one met while writing; BrokenPipeError passes through."""
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            return write_error(self.name, error)
        if isinstance(error, soundfile.LibsndfileError | AssertionError):
            return AudioFileError(f"{self.name}: cannot be written; is the disk full?")
        return error
