"""The installed command, with its models, at the ends of pipes: full, closed, and in chains."""

import io
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100


def write_song(folder: Path, subtype: str = "PCM_16", frames: int = 4001) -> None:
    """Write noise in stereo as song.wav."""
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, (frames, 2))
    soundfile.write(folder / "song.wav", noise, RATE, subtype=subtype)


@pytest.fixture
def chain(script: str, tmp_path: Path, tiny: Path) -> Callable[[str], str]:
    """``chain("sox … | @ tokenize - -o - | …")``: a pipeline in tmp_path; its stderr."""
    fixed = f"--model {shlex.quote(str(tiny))} --quiet --device cpu --threads 1"

    def run(command: str) -> str:
        stages = [
            f"{stage.replace('@', shlex.quote(script), 1)} {fixed}" if "@" in stage else stage
            for stage in command.split("|")
        ]
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", "|".join(stages)],
            cwd=tmp_path,
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == b""
        return done.stderr.decode()

    return run


@pytest.mark.slow
def test_chains_of_peers(chain, peer, tmp_path):
    peer("sox")
    peer("ffmpeg")
    write_song(tmp_path, "PCM_24", frames=20_001)
    decoded = "ffmpeg -v error -i song.wav -c:a pcm_s24le -f wav -"
    told = chain(f"{decoded} | @ tokenize - -o - | @ detokenize - --subtype FLOAT -o - "
                 "| sox -V1 -t wav - a.wav")  # fmt: skip
    assert told == ""
    told = chain(f"{decoded} | @ infill - -o - --gap 0.2:0.22 | @ separate - --stem bass -o - "
                 "| ffmpeg -v error -i - -c:a pcm_s24le b.wav")  # fmt: skip
    assert told == ""
    for name in ("a.wav", "b.wav"):
        info = soundfile.info(tmp_path / name)
        assert (info.frames, info.channels, info.samplerate) == (20_001, 2, RATE)
        assert np.abs(soundfile.read(tmp_path / name)[0]).max() > 0


@pytest.mark.parametrize(
    "command",
    [
        ("tokenize", "song.wav", "--format", "text", "-o", "-"),
        ("detokenize", "t.txt", "-o", "-"),
        ("infill", "song.wav", "-o", "-", "--gap", "0.02:0.03", "--method", "ar"),
        ("separate", "song.wav", "-o", "-", "--stem", "bass"),
    ],
    ids=lambda command: command[0],
)
def test_a_reader_that_leaves_ends_it_quietly(begin, tiny, tmp_path, command):
    write_song(tmp_path)
    fixed = ("--model", tiny, "--device", "cpu", "--threads", "1", "--quiet")
    if command[0] == "detokenize":
        assert begin(tmp_path, "tokenize", "song.wav", "-o", "t.txt", *fixed).wait().status == 0
    os.mkfifo(tmp_path / "pipe")
    run = begin(tmp_path, *command, *fixed, out="pipe")
    (tmp_path / "pipe").open("rb").close()
    done = run.wait()
    assert (done.status, done.err) == (-signal.SIGPIPE, "")


def test_without_standard_streams(begin, tiny, tmp_path):
    write_song(tmp_path)
    fixed = ("--model", tiny, "--device", "cpu", "--threads", "1", "--verbose")
    done = begin(
        *(tmp_path, "separate", "song.wav", "--stem", "bass", "-o", "-", *fixed), err=None
    ).wait()
    assert done.status == 0
    assert done.out.startswith(b"RIFF")
    assert soundfile.read(io.BytesIO(done.out))[0].shape == (4001, 2)  # and no message among them
    done = begin(tmp_path, "tokenize", "song.wav", *fixed, out=None).wait()
    assert done.status == 0, done.err
    done = begin(tmp_path, "tokenize", "song.wav", "-o", "-", *fixed, out=None).wait()
    assert done.status == 2
    assert "standard output is closed" in done.error_line()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "words",
    [
        ("tokenize", "song.wav", "-o", "-", "--format", "text"),
        ("separate", "song.wav", "-o", "-", "--stem", "bass"),
        ("--help",),
        ("--version",),
    ],
    ids=lambda words: words[0],
)
def test_standard_output_that_is_full(begin, tiny, tmp_path, words):
    write_song(tmp_path)
    fixed = ("--model", tiny, "--threads", "1") if len(words) > 1 else ()
    done = begin(tmp_path, *words, *fixed, out="/dev/full").wait()
    assert done.status == 1
    assert "standard output: " in done.error_line()
    assert "No space left" in done.error_line()
