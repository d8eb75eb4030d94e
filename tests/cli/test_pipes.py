"""Every command between pipes: WAV as others write and read it, tokens, and nothing but data.

In this process, without a model; ``test_streams.py`` has the installed command.
"""

import io
import os
import shlex
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 44100
GAP = ("--gap", "0.02:0.04")
AUDIO = {
    "tokenize": ("tokenize", "-", "-o", "-"),
    "infill": ("infill", "-", "-o", "-", *GAP),
    "separate": ("separate", "-", "-o", "-", "--stem", "bass"),
}
WIDTHS = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
ENCODERS = {"PCM_U8": "pcm_u8", "FLOAT": "pcm_f32le", "DOUBLE": "pcm_f64le"}


class Stream:
    """A text stream over one end of a pipe, as Python makes standard input and output."""

    def __init__(self, buffer: Any) -> None:
        self.buffer, self.closed = buffer, False

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        self.buffer.flush()


@pytest.fixture
def piped(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, bytes, str]]:
    """``piped(data, "separate", "-")``: status, standard output and stderr of a command.

    It runs in this process, over an engine without a model, between two real pipes.
    """

    def run(data: bytes, *arguments: object) -> tuple[int, bytes, str]:
        source, feed = os.pipe()
        drain, sink = os.pipe()
        got: list[bytes] = []

        def write() -> None:
            with open(feed, "wb") as stream:
                stream.write(data)

        def read() -> None:
            with open(drain, "rb") as stream:
                got.append(stream.read())

        threads = [threading.Thread(target=work) for work in (write, read)]
        for thread in threads:
            thread.start()
        with (
            open(source, "rb") as stdin,
            open(sink, "wb") as stdout,
            monkeypatch.context() as patch,
        ):
            patch.setattr(sys, "stdin", Stream(stdin))
            patch.setattr(sys, "stdout", Stream(stdout))
            done = invoke(*arguments)
        for thread in threads:
            thread.join(timeout=60)
        assert done.out == b""  # nothing goes past the stream
        return done.status, got[0], done.err

    return run


def recording(subtype: str = "PCM_16", channels: int = 2) -> bytes:
    """A plain WAV of noise; a frame of an odd number of bytes makes the data odd."""
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, (4001, channels))
    out = io.BytesIO()
    soundfile.write(out, noise, RATE, subtype=subtype, format="WAV")
    return out.getvalue()


def samples(data: bytes, dtype: str = "float64") -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype=dtype, always_2d=True)[0]


def chunks(data: bytes) -> tuple[bytes, bytes]:
    """The fmt chunk and the samples of a plain WAV."""
    place = data.index(b"data")
    (size,) = struct.unpack("<I", data[place + 4 : place + 8])
    start = data.index(b"fmt ")
    (length,) = struct.unpack("<I", data[start + 4 : start + 8])
    return data[start : start + 8 + length], data[place + 8 : place + 8 + size]


def wave(data: bytes, riff: int, size: int, before: bytes = b"", after: bytes = b"") -> bytes:
    """The same sound under a header that claims other sizes, with chunks around it."""
    fmt, sound = chunks(data)
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVE" + before + fmt
    padding = b"\0" * (len(sound) % 2)
    return head + b"data" + struct.pack("<I", size) + sound + padding + after


def container(data: bytes, format: str) -> bytes:
    """The same sound in another of libsndfile's containers."""
    info = soundfile.info(io.BytesIO(data))
    out = io.BytesIO()
    soundfile.write(out, samples(data, "int32"), RATE, subtype=info.subtype, format=format)
    return out.getvalue()


def odd_form(name: str) -> tuple[bytes, bytes]:
    """A WAV as it should be, and the same sound in a form that is met in pipes."""
    listing = b"LIST" + struct.pack("<I", 17) + b"INFOISFT\x05\0\0\0abcd\0\0"
    odd = b"junk" + struct.pack("<I", 3) + b"abc\0"
    plain = recording("PCM_24", channels=1)  # 12003 bytes: odd as well
    true = len(chunks(plain)[1])
    whole = len(wave(plain, 0, 0)) - 8
    return plain, {
        "length 0": lambda: wave(plain, 0, 0),
        "length FFFFFFFF": lambda: wave(plain, 0xFFFFFFFF, 0xFFFFFFFF),
        "length 0 of data alone": lambda: wave(plain, whole, 0),
        "length of sox": lambda: wave(plain, 0x7FFFF024, 0x7FFFF000),
        "RF64": lambda: container(plain, "RF64"),
        "WAVE_EXTENSIBLE": lambda: container(plain, "WAVEX"),
        "odd chunk before": lambda: wave(plain, whole + 12, true, before=odd),
        "LIST after": lambda: wave(plain, whole + 26, true, after=listing),
        "LIST after an odd one": lambda: wave(plain, whole + 38, true, after=odd + listing),
        "odd chunk and no length": lambda: wave(plain, 0xFFFFFFFF, 0xFFFFFFFF, before=odd),
    }[name]()


FORMS = (
    *("length 0", "length FFFFFFFF", "length 0 of data alone", "length of sox", "RF64"),
    *("WAVE_EXTENSIBLE", "odd chunk before", "LIST after", "LIST after an odd one"),
    "odd chunk and no length",
)


def check(command: str, data: bytes, plain: bytes, loose: float = 0.0) -> None:
    """What a command made of a sound: all of it, and of nothing else."""
    before = samples(plain)
    if command == "tokenize":
        info = soundfile.info(io.BytesIO(plain))
        head = dict(line[2:].split(": ") for line in data.decode().splitlines() if ": " in line)
        assert int(head["num_samples"]) == info.frames
        assert int(head["channels"]) == info.channels
        assert int(head["sample_rate"]) == RATE
        return
    after = samples(data)
    assert after.shape == before.shape
    assert soundfile.info(io.BytesIO(data)).subtype == soundfile.info(io.BytesIO(plain)).subtype
    if command == "infill":
        outside = np.ones(len(before), bool)
        outside[round(0.02 * RATE) : round(0.04 * RATE)] = False
        assert np.abs(after - before)[outside].max() <= loose
        assert (after[~outside] == 0.5).all()
    else:
        step = 2.0 ** (1 - 8 * WIDTHS[soundfile.info(io.BytesIO(plain)).subtype])
        assert np.abs(after - 0.5 * before).max() <= step + 1e-7


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", AUDIO)
def test_every_form_of_wav_is_read_to_its_end(piped, command, form):
    plain, met = odd_form(form)
    more = ("--format", "text") if command == "tokenize" else ()
    status, out, err = piped(met, *AUDIO[command], *more)
    assert status == 0, err
    check(command, out, plain)


@pytest.mark.parametrize("subtype", WIDTHS)
@pytest.mark.parametrize("command", AUDIO)
def test_what_sox_and_ffmpeg_pipe_is_read_and_read_back(piped, peer, command, subtype):
    """Into the command from one, out of it into the other."""
    plain = recording(subtype)
    ffmpeg = [peer("ffmpeg"), "-v", "error", "-i", "-", "-metadata", "title=x", "-f", "wav"]
    encoder = ENCODERS.get(subtype, f"pcm_s{8 * WIDTHS[subtype]}le")
    sox = [peer("sox"), "-D", "-t", "wav", "-", "-t", "wav", "-"]
    ffmpeg += ["-c:a", encoder, "-"]
    for tool, back in ((ffmpeg, sox), (sox, ffmpeg)):
        met = through(tool, plain)
        assert len(samples(met)) >= 4001
        more = ("--format", "text") if command == "tokenize" else ()
        status, out, err = piped(met, *AUDIO[command], *more)
        assert status == 0, err
        # sox computes in whole numbers
        loose = 2.0**-24 if subtype in ("FLOAT", "DOUBLE") else 0.0
        check(command, out, plain, loose)
        if command != "tokenize":
            again = through(back, out)
            assert np.abs(samples(again) - samples(out)).max() <= loose


def through(tool: list[str], data: bytes) -> bytes:
    """What a tool makes of it between two pipes: nobody can go back in them."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{shlex.join(tool)} | cat"],
        input=data,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("subtype", WIDTHS)
@pytest.mark.parametrize("form", ["safetensors", "text"])
def test_tokens_pass_through_pipes_and_come_out_as_sound(piped, peer, form, subtype):
    _, tokens, _ = piped(recording(), "tokenize", "-", "-o", "-", "--format", form)
    assert tokens.startswith(b"# audiomask tokens") == (form == "text")
    status, out, err = piped(tokens, "detokenize", "-", "-o", "-", "--subtype", subtype)
    assert status == 0, err
    assert soundfile.info(io.BytesIO(out)).subtype == subtype
    assert samples(out).shape == (4001, 2)
    assert (samples(out) == 0.5).all()
    for tool in (
        [peer("sox"), "-D", "-t", "wav", "-", "-b", "16", "-t", "wav", "-"],
        [peer("ffmpeg"), "-v", "error", "-i", "-", "-f", "wav", "-"],
    ):
        heard = samples(through(tool, out))
        assert heard.shape == (4001, 2)
        assert (heard == 0.5).all()


@pytest.mark.parametrize("command", [*AUDIO, "detokenize"])
@pytest.mark.parametrize("data", [b"", b"la la la\n", b"RIFF\xff\xff\xff\xffWAVE", b"{}" * 99])
def test_bad_input_leaves_standard_output_empty(piped, command, data):
    arguments = AUDIO.get(command, ("detokenize", "-", "-o", "-"))
    for more in ((), ("--verbose",), ("--debug",)):
        status, out, err = piped(data, *arguments, *more)
        assert (status, out) == (1, b"")
        assert "standard input" in err.splitlines()[-1]
        assert ("Traceback" in err) == ("--debug" in more)


@pytest.mark.parametrize("command", [*AUDIO, "detokenize"])
def test_verbose_and_debug_add_nothing_to_the_data(piped, command):
    data = recording()
    if command == "detokenize":
        _, data, _ = piped(data, "tokenize", "-", "-o", "-")
    arguments = AUDIO.get(command, ("detokenize", "-", "-o", "-"))
    _, plain, _ = piped(data, *arguments, "--quiet")
    assert plain
    status, out, err = piped(data, *arguments, "--verbose", "--debug")
    assert (status, out) == (0, plain)
    assert "standard input" in err
