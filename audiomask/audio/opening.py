"""Opening of audio files so that all of their sound can be read, with exact random access.

Files in which libsndfile seeks inexactly are decoded once from start to end into a temporary copy.
Files that it cannot read, reads in part or misinterprets are decoded by ffmpeg.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import soundfile

from audiomask.audio import decode, mpeg, wav
from audiomask.audio.bitstreams import BitStream, find_bitstream, to_bytes
from audiomask.audio.links import Span, find_links
from audiomask.audio.names import soundfile_name
from audiomask.audio.pcm import BITS, FLOATING
from audiomask.audio.probe import Sound, ffmpeg_path
from audiomask.audio.quiet import quiet_decoders
from audiomask.errors import AudioFileError, why

# Subtypes in which libsndfile seeks exactly; others are decoded once from start to end.
_SEEKABLE = (*BITS, *FLOATING, "ULAW", "ALAW")
# A container of blocks, in the last of which libsndfile cannot seek.
_BLOCKS = ("PAF",)
# First bytes of a MIDI sample dump. libsndfile loses its last samples, and prints its faults on
# standard output, among the data.
_SAMPLE_DUMP = b"\xf0\x7e"
# libsndfile's frame count of a stream of unknown length
_ENDLESS = 2**62
_BLOCK = 1 << 16


class Opening:
    """Opens one file.

    Args:
        name: for errors.
        new_copy: makes an empty temporary file, which the caller removes.

    Attributes:
        format: (once it is open) the container.
        subtype: how the samples are stored.
        notes: phrases on how it is read.
        warnings: phrases on damage.
    """

    def __init__(self, name: str, new_copy: Callable[[], Path]) -> None:
        self.name, self._new_copy = name, new_copy
        self.format = self.subtype = ""
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def open(self, location: Path) -> soundfile.SoundFile:
        """Open a file with random access to all of it.

        Raises:
            AudioFileError: it is not audio, is damaged, or cannot be read without ffmpeg.
        """
        try:
            if (misread := wav.find_misread(location)) is not None:
                if not misread.uniform:
                    raise AudioFileError(
                        f"{self.name}: is several WAV files of different formats joined: cut it"
                    )
                target = self._new_copy()
                wav.repair_header(location, misread, target)
                location = target
            opened = open_sound(location)
            if opened is None:
                target, sound = self._decode(location)
                self.format, self.subtype = sound.container, sound.subtype or sound.codec
                return self._decoded(target)
            with ExitStack() as stack:
                stack.enter_context(opened)
                self.format, self.subtype = opened.format, opened.subtype
                if opened.frames < _ENDLESS and (stream := find_bitstream(opened)) is not None:
                    return self._decode_bitstream(opened, stream)
                links = find_links(location) if opened.format in ("OGG", "FLAC") else []
                exact = opened.subtype in _SEEKABLE and opened.format not in _BLOCKS
                if exact and opened.frames < _ENDLESS and len(links) < 2:
                    stack.pop_all()
                    return opened
                made = self._decode_sequentially(location, opened, links)
                if opened.frames >= _ENDLESS and (stream := find_bitstream(made)) is not None:
                    return self._decode_bitstream(stack.enter_context(made), stream)
                return made
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioFileError(f"{self.name}: cannot be read: {error_reason(error)}") from error

    def _decode_sequentially(
        self, location: Path, opened: soundfile.SoundFile, links: Sequence[Span]
    ) -> soundfile.SoundFile:
        """Decode from start to end with libsndfile or, where that would stop early, with ffmpeg."""
        frames = mpeg.scan_frames(location) if opened.format == "MP3" else None
        rate = opened.samplerate
        if frames is None or not frames.exceeds(int(opened.frames)):
            target = self._new_copy()
            if decode.decode_sequentially(location, target, links):
                made = soundfile.SoundFile(soundfile_name(target))
                if frames is None or not frames.exceeds(int(made.frames)):
                    if frames is not None and (missing := frames.missing):
                        self.warnings.append(
                            f"ends early: its header promises {missing / rate:.1f} s more"
                        )
                    return made
                made.close()
        if ffmpeg_path() is None:
            raise AudioFileError(
                f"{self.name}: continues where libsndfile stops; install ffmpeg to read all of it"
            )
        form = (opened.samplerate, opened.channels)
        made = self._decoded(self._decode(location, form=form)[0])
        if frames is None or not frames.uniform:
            many = f"{made.samplerate} Hz and {made.channels} channels"
            self.notes.append(f"has streams of different formats, all read as {many}")
        if frames is not None:
            lost = frames.seconds - made.frames / made.samplerate
            if lost > 0.2 + 0.001 * frames.seconds:
                self.warnings.append(
                    f"is damaged: {lost:.1f} of its {frames.seconds:.1f} s are left out"
                )
        return made

    def _decode_bitstream(
        self, opened: soundfile.SoundFile, stream: BitStream
    ) -> soundfile.SoundFile:
        """Decode the bit stream in the file by ffmpeg."""
        if not stream.demuxer or ffmpeg_path() is None:
            advice = "; install ffmpeg to have it decoded" if stream.demuxer else ""
            raise AudioFileError(
                f"{self.name}: holds a bit stream ({stream.name}), not PCM{advice}"
            )
        raw = self._new_copy()
        opened.seek(0)
        with raw.open("wb") as out:
            while len(block := opened.read(_BLOCK, dtype="int32", always_2d=True)):
                out.write(to_bytes(block, stream))
        lead = stream.lead / opened.samplerate
        try:
            target, sound = self._decode(raw, stream.demuxer, lead)
            made = self._decoded(target)
        except AudioFileError as error:
            raise AudioFileError(
                f"{self.name}: holds a bit stream ({stream.name}) that ffmpeg cannot decode"
            ) from error
        self.subtype = sound.codec
        return made

    def _decode(
        self,
        location: Path,
        demuxer: str | None = None,
        delay: float = 0.0,
        form: tuple[int, int] | None = None,
    ) -> tuple[Path, Sound]:
        """Decode a file by ffmpeg into a temporary copy, with notes on its track and delay."""
        target = self._new_copy()
        sound = decode.decode(location, target, self.name, demuxer, delay, form)
        if sound.tracks > 1:
            self.notes.append(f"audio track {sound.track + 1} of {sound.tracks} is read")
        if sound.delay >= 0.001:
            self.notes.append(
                f"its sound begins {sound.delay:.3f} s late: leading silence is added"
            )
        return target, sound

    def _decoded(self, target: Path) -> soundfile.SoundFile:
        opened = open_sound(target)
        if opened is None:
            raise AudioFileError(f"{self.name}: ffmpeg decoded nothing from it")
        return opened


def open_sound(path: Path) -> soundfile.SoundFile | None:
    """Open with libsndfile; None when it does not know the format or finds it malformed."""
    # .raw: soundfile would require parameters
    if path.suffix.lower() == ".raw" or wav.is_misread_w64(path):
        return None
    if decode.leading_bytes(path)[:2] == _SAMPLE_DUMP:
        return None
    try:
        with quiet_decoders():
            opened = soundfile.SoundFile(soundfile_name(path))
    except soundfile.LibsndfileError:
        return None
    if opened.format == "RAW":  # by the ending alone
        opened.close()
        return None
    return opened


def error_reason(error: Exception) -> str:
    """An error's reason on one line, without libsndfile's prefix and temporary names."""
    if isinstance(error, OSError):
        return why(error)
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
