"""Encoding of AAC in MP4 (``.m4a``), which libsndfile cannot write, by ffmpeg."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audiomask.audio.metadata.model import Metadata, Picture
from audiomask.audio.probe import ffmpeg_path
from audiomask.errors import AudioFileError, UsageError

#: names of container and coding, where those of libsndfile's formats stand
CONTAINER, CODING = "M4A", "AAC"
#: sample rates of AAC; at others ffmpeg would resample
_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
#: ffmpeg's names of the loudspeakers by number of channels, whose order is that of WAV
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
#: bits a second of a channel: the fewest, the most, and the usual number
_LEAST, _MOST, _USUAL = 16_000, 256_000, 128_000
#: tags that the container holds under the names that players know, and ffmpeg's name of each
_TAGS = {
    **{"TITLE": "title", "ARTIST": "artist", "ALBUM": "album", "ALBUMARTIST": "album_artist"},
    **{"COMPOSER": "composer", "DATE": "date", "GENRE": "genre", "COMMENT": "comment"},
    **{"COPYRIGHT": "copyright", "TRACKNUMBER": "track", "DISCNUMBER": "disc"},
    **{"LYRICS": "lyrics", "DESCRIPTION": "description", "GROUPING": "grouping"},
    **{"TITLESORT": "sort_name", "ARTISTSORT": "sort_artist", "ALBUMSORT": "sort_album"},
}
_COVERS = ("image/jpeg", "image/png")


def aac_bitrate(bitrate: int | None, sample_rate: int, channels: int) -> int:
    """Bits a second of all channels; 128k for each where none is requested.

    Raises:
        UsageError: AAC does not have this one.
    """
    # a frame of 1024 samples has at most 6144 bits a channel
    most = channels * min(_MOST, 6 * sample_rate)
    if bitrate is None:
        return min(channels * _USUAL, most)
    if not channels * _LEAST <= bitrate <= most:
        raise UsageError(
            f"--bitrate {bitrate / 1000:g}k: this format and sample rate take"
            f" {channels * _LEAST // 1000}k to {most // 1000}k"
        )
    return bitrate


class AACFile:
    """An ffmpeg process that encodes samples as they are written.

    Args:
        path: the file to write.
        name: its name in errors.
        sample_rate: samples a second.
        channels: 1, 2 or 6.
        metadata: tags and cover to store.
        bitrate: bits a second of all channels.

    Attributes:
        lost: which metadata the file does not hold, in a sentence; ``""`` for none.

    Raises:
        AudioFileError: ffmpeg is missing, or AAC cannot hold this rate or these channels.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        sample_rate: int,
        channels: int,
        metadata: Metadata,
        bitrate: int,
    ) -> None:
        self.name = name
        program = ffmpeg_path()
        if program is None:
            raise AudioFileError(f"{name}: install ffmpeg to write m4a, or choose another format")
        if sample_rate not in _RATES or channels not in _LAYOUTS:
            raise AudioFileError(
                f"{name}: m4a cannot hold {channels} channels at {sample_rate} Hz; choose another"
                " format, such as wav"
            )
        self.lost = _lost(metadata)
        self._folder = tempfile.TemporaryDirectory(prefix="audiomask-")
        command = [program, "-v", "error", "-y"]
        command += ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(channels)]
        command += ["-channel_layout", _LAYOUTS[channels], "-i", "pipe:0"]
        cover = _cover(metadata)
        if cover is not None:
            image = Path(self._folder.name, "cover")
            image.write_bytes(cover.data)
            command += ["-i", f"file:{image}", "-map", "0:a", "-map", "1:v", "-c:v", "copy"]
            command += ["-disposition:v", "attached_pic"]
        for key, text in metadata.tags:
            if key in _TAGS:
                command += ["-metadata", f"{_TAGS[key]}={text}"]
        command += ["-c:a", "aac", "-b:a", str(bitrate), "-movflags", "+faststart"]
        # in the usual milliseconds the edit list would not tell the length to the sample
        command += ["-movie_timescale", str(sample_rate)]
        # its own session: Ctrl-C ends audiomask, which ends the encoder
        self._process = subprocess.Popen(
            [*command, "-f", "ipod", f"file:{path}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def write(self, samples: npt.NDArray[Any]) -> None:
        """Append samples [n, C].

        Raises:
            AudioFileError: the encoder has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(samples, dtype="<f4").tobytes())
        except BrokenPipeError as error:
            raise self._failed() from error

    def finish(self) -> None:
        """Complete the file.

        Raises:
            AudioFileError: the encoder failed.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            raise self._failed() from error
        if self._process.wait() != 0:
            raise self._failed()

    def close(self) -> None:
        """End the encoder, whatever its state."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None and not stream.closed:
                with suppress(BrokenPipeError):  # what it did not take is not wanted any more
                    stream.close()
        self._folder.cleanup()

    def _failed(self) -> AudioFileError:
        """The error of an encoder that has failed, with the last line that it printed."""
        self._process.wait()
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode("utf-8", "replace").split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
        return AudioFileError(f"{self.name}: ffmpeg cannot write it: {reason[:200]}")


def _cover(metadata: Metadata) -> Picture | None:
    """The picture to store: the front cover, or else the first."""
    fit = [picture for picture in metadata.pictures if picture.mime in _COVERS]
    return next((picture for picture in fit if picture.kind == 3), fit[0] if fit else None)


def _lost(metadata: Metadata) -> str:
    """A sentence on the metadata that the container cannot hold, or ``""``."""
    lost = sorted({key for key, _ in metadata.tags if key not in _TAGS})
    words = [f"the tags {', '.join(lost)}"] if lost else []
    if len(metadata.pictures) > (_cover(metadata) is not None):
        words.append("pictures besides one cover in JPEG or PNG")
    return f"m4a cannot hold {' and '.join(words)}" if words else ""
