"""Decoding: temporary copies of what cannot be read at random as it is.

libsndfile finds its way in uncompressed files, FLAC and ALAC, but seeks inexactly in MP3 and
Ogg: those are decoded once from start to end. What it cannot read at all, ffmpeg decodes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import soundfile

from audiomask.audio.links import Span
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
    """A file read from its start to its end. soundfile seeks after every read where it thinks it
    can, which is where MP3 goes wrong and where FLAC of unknown length fails."""

    def seekable(self) -> bool:
        return False


def decode_sequentially(path: Path, target: Path, links: Sequence[Span] = ()) -> bool:
    """Decode what libsndfile can read, from start to end, into a W64 that can be read at random.

    Whole numbers stay whole numbers; everything else becomes float32, which is what the lossy
    decoders compute in.

    Args:
        path: the file.
        target: where the decoded copy goes.
        links: the streams that lie in it one behind the other, if it is not one alone.

    Returns:
        Whether all links could be read and have one sample rate and number of channels. Of one
        stream alone it is true; what libsndfile says against it is raised.
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
    # libsndfile leaves the channels of Vorbis and Opus in an order of their own
    order = CHANNEL_ORDER.get(source.channels) if source.format == "OGG" else None
    back = None if order is None else [order.index(n) for n in range(len(order))]
    while len(block := source.read(_BLOCK, dtype=dtype, always_2d=True)):
        out.write(block if back is None else block[:, back])


def leading_bytes(path: Path) -> bytes:
    """The first bytes of a file, behind an ID3 tag if there is one."""
    with path.open("rb") as stream:
        head = stream.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            size = 0
            for byte in head[6:10]:
                size = size << 7 | byte & 127
            start = 10 + size
        stream.seek(start)
        return stream.read(4096)


def looks_like_text(path: Path) -> bool:
    """Whether a file begins as readable text (behind an ID3 tag, if there is one)."""
    head = leading_bytes(path)
    if not head or any(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut by the end of the block
    return True


def decode(
    path: Path,
    target: Path,
    name: str,
    demuxer: str | None = None,
    delay: float = 0.0,
    form: tuple[int, int] | None = None,
) -> Sound:
    """Decode the audio track that plays by default, of any file ffmpeg knows, into a WAV.

    Sound that begins later than the picture is put behind as much silence. Where its sample rate
    or its channels change on the way, all of it gets one form.

    Args:
        path: the file.
        target: where the decoded copy goes.
        name: what to call the file in errors.
        demuxer: what ffmpeg shall read it as, where that is known.
        delay: seconds of silence to begin with, beyond those that the file asks for.
        form: sample rate and channels of all of it; what ffmpeg finds at its beginning when None.

    Returns:
        What was decoded. The subtype of a lossless file is libsndfile's (``PCM_16`` …) and the
        copy holds the same samples.

    Raises:
        AudioFileError: it is not audio, has no sound, or ffmpeg or pydub is missing.
    """
    check_decodable(path, name)
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


def check_decodable(path: Path, name: str) -> None:
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
    """How ffmpeg is called to read an audio track of a file, and nothing that the file points to.

    Args:
        path: the file.
        name: what to call the file in errors.
        before: options of the input, such as ``-ss`` and ``-t``.
        track: the audio track's number, from 0.
        demuxer: what ffmpeg shall read it as, where that is known.

    Returns:
        The beginning of a command; how to encode and where to write is to be added.

    Raises:
        AudioFileError: the file is text, or ffmpeg or pydub is missing.
    """
    check_decodable(path, name)
    command = [str(ffmpeg_path()), "-v", "error", "-nostdin", *before]
    return [*command, *guarded_input(path, demuxer), "-map", f"0:a:{track}"]


def _filters(delay: float) -> str:
    """Filters that take samples as they come, whatever their times say, behind some silence."""
    running = "asetpts=N/SR/TB"  # the times of joined files begin anew
    return f"{running},adelay=delays={1000 * delay:.6f}:all=1" if delay > 0 else running


def ffmpeg_error(stderr: bytes, path: Path, name: str) -> AudioFileError:
    """The error of a file that ffmpeg did not decode, by what it wrote."""
    if b"matches no streams" in stderr:
        return AudioFileError(f"{name}: has no sound")
    words = ffmpeg_message(stderr, path)
    return AudioFileError(f"{name}: is not audio that libsndfile or ffmpeg can read{words}")


def ffmpeg_message(stderr: bytes, path: Path) -> str:
    """Ffmpeg's last words, on one line and without the (temporary) file's name."""
    lines = stderr.decode("utf-8", "replace").replace(f"file:{path.absolute()}", "").splitlines()
    words = " ".join(lines[-1].split()).strip(" :") if lines else ""
    return f" ({words[:200]})" if words else ""
