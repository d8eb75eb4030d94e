"""Decoding of files without exact random access into temporary copies.

libsndfile seeks exactly in uncompressed files, FLAC and ALAC, but not in MP3 and Ogg: those are
decoded once from start to end. Files that it cannot read are decoded by ffmpeg.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import soundfile

from audiomask.audio.links import Span
from audiomask.audio.metadata.id3 import tag_size
from audiomask.audio.metadata.ogg import CHANNEL_ORDER
from audiomask.audio.names import soundfile_name
from audiomask.audio.pcm import BITS
from audiomask.audio.probe import Sound, ffmpeg_path, guarded_input, probe
from audiomask.audio.quiet import quiet_decoders
from audiomask.audio.slices import Slice
from audiomask.errors import AudioFileError

_BLOCK = 1 << 16
_ENCODERS = {
    "PCM_U8": "pcm_u8",
    "PCM_16": "pcm_s16le",
    "PCM_24": "pcm_s24le",
    "PCM_32": "pcm_s32le",
    "FLOAT": "pcm_f32le",
    "DOUBLE": "pcm_f64le",
}


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file read from start to end. soundfile seeks after every read of a seekable file, which
    goes wrong in MP3 and fails in FLAC of unknown length."""

    def seekable(self) -> bool:
        return False


def decode_sequentially(path: Path, target: Path, links: Sequence[Span] = ()) -> bool:
    """Decode a file by libsndfile, from start to end, into a W64 with random access.

    Integer samples stay integers; others become float32, in which lossy decoders compute.

    Args:
        path: the file.
        target: the decoded copy.
        links: the chained streams in it, if there are several.

    Returns:
        Whether all links could be read and have one sample rate and number of channels; always
        true for a single stream.

    Raises:
        soundfile.LibsndfileError: a single stream cannot be read.
    """
    with path.open("rb") as file, quiet_decoders():
        if len(links) < 2:
            with _SequentialFile(soundfile_name(path)) as source, _w64(target, source) as out:
                _copy(source, out)
            return True
        parts = [Slice(file, start, stop - start) for start, stop in links]
        try:
            with _SequentialFile(parts[0]) as first, _w64(target, first) as out:
                form = (first.samplerate, first.channels)
                _copy(first, out)
                for part in parts[1:]:
                    with _SequentialFile(part) as source:
                        if (source.samplerate, source.channels) != form:
                            return False
                        _copy(source, out)
        except soundfile.LibsndfileError:
            return False
    return True


def _w64(target: Path, source: soundfile.SoundFile) -> soundfile.SoundFile:
    return soundfile.SoundFile(
        soundfile_name(target),
        "w",
        source.samplerate,
        source.channels,
        format="W64",
        subtype="PCM_32" if source.subtype in BITS else "FLOAT",
    )


def _copy(source: soundfile.SoundFile, out: soundfile.SoundFile) -> None:
    dtype = "int32" if out.subtype in BITS else "float32"
    # libsndfile leaves the channels of Vorbis and Opus in their own order
    order = CHANNEL_ORDER.get(source.channels) if source.format == "OGG" else None
    back = None if order is None else [order.index(n) for n in range(len(order))]
    while len(block := source.read(_BLOCK, dtype=dtype, always_2d=True)):
        out.write(block if back is None else block[:, back])


def leading_bytes(path: Path) -> bytes:
    """The first 4096 bytes of a file, after its ID3 tag if there is one."""
    with path.open("rb") as stream:
        stream.seek(tag_size(stream.read(10)))
        return stream.read(4096)


def looks_like_text(path: Path) -> bool:
    """Whether a file begins with readable text (after an ID3 tag, if there is one)."""
    head = leading_bytes(path)
    if not head or any(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut off at the end of the block
    return True


def decode(
    path: Path,
    target: Path,
    name: str,
    demuxer: str | None = None,
    delay: float = 0.0,
    form: tuple[int, int] | None = None,
) -> Sound:
    """Decode the default audio track of any file that ffmpeg reads into a WAV.

    A track that begins later than the video gets leading silence. A track whose sample rate or
    channels change is converted to one format.

    Args:
        path: the file.
        target: the decoded copy.
        name: the file's name in errors.
        demuxer: ffmpeg's demuxer, where it is known.
        delay: seconds of leading silence, besides the file's own.
        form: sample rate and channels of the copy; those at the file's beginning when None.

    Returns:
        The track. Of a lossless file the copy holds the same samples, and its subtype is
        libsndfile's (``PCM_16`` …).

    Raises:
        AudioFileError: it is not audio, has no sound, or ffmpeg or pydub is missing.
    """
    _check_decodable(path, name)
    sound = probe(path, name, demuxer)
    command = read_command(path, name, track=sound.track, demuxer=demuxer)
    command += ["-af", _filters(sound.delay + delay)]
    if form is not None:
        command += ["-ar", str(form[0]), "-ac", str(form[1])]
    command += ["-c:a", _ENCODERS[sound.subtype or "FLOAT"], "-f", "wav", "-rf64", "auto"]
    command += ["-y", f"file:{target}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode != 0:
        raise ffmpeg_error(done.stderr, path, name)
    return sound


def _check_decodable(path: Path, name: str) -> None:
    """Raise AudioFileError for a text, and where ffmpeg or pydub is missing."""
    if looks_like_text(path):
        raise AudioFileError(f"{name}: is text, not audio")
    if ffmpeg_path() is None:
        raise AudioFileError(
            f"{name}: is not audio that libsndfile can read; install ffmpeg to read other formats"
        )


def read_command(
    path: Path, name: str, *before: str, track: int = 0, demuxer: str | None = None
) -> list[str]:
    """The ffmpeg command to read an audio track of a file, but no file that it refers to.

    Args:
        path: the file.
        name: the file's name in errors.
        before: options of the input, such as ``-ss`` and ``-t``.
        track: the audio track's number, from 0.
        demuxer: ffmpeg's demuxer, where it is known.

    Returns:
        The beginning of a command, to be completed by encoder and output.

    Raises:
        AudioFileError: the file is text, or ffmpeg or pydub is missing.
    """
    _check_decodable(path, name)
    command = [str(ffmpeg_path()), "-v", "error", "-nostdin", *before]
    return [*command, *guarded_input(path, demuxer), "-map", f"0:a:{track}"]


def _filters(delay: float) -> str:
    """ffmpeg filters that renumber timestamps by sample, and add ``delay`` seconds of silence."""
    renumber = "asetpts=N/SR/TB"  # timestamps of joined files restart
    return f"{renumber},adelay=delays={1000 * delay:.6f}:all=1" if delay > 0 else renumber


def ffmpeg_error(stderr: bytes, path: Path, name: str) -> AudioFileError:
    """The error of a file that ffmpeg did not decode, from its messages."""
    if b"matches no streams" in stderr:
        return AudioFileError(f"{name}: has no sound")
    reason = _ffmpeg_message(stderr, path)
    return AudioFileError(f"{name}: is not audio that libsndfile or ffmpeg can read{reason}")


def _ffmpeg_message(stderr: bytes, path: Path) -> str:
    """The last line of ffmpeg's messages, in brackets and without the (temporary) file's name."""
    lines = stderr.decode("utf-8", "replace").replace(f"file:{path.absolute()}", "").splitlines()
    words = " ".join(lines[-1].split()).strip(" :") if lines else ""
    return f" ({words[:200]})" if words else ""
