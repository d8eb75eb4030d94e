"""Files of the kinds that strangers have, made of noise by ffmpeg or by hand."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from signals import melody

RATE = 44_100


def ffmpeg(*arguments: object) -> None:
    """Run ffmpeg; the test is skipped where there is none."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True, timeout=120
    )


def heard_by_ffmpeg(path: Path, track: int = 0) -> npt.NDArray[np.float32]:
    """All that ffmpeg decodes of a file, [T, C]."""
    target = path.with_name(f"{path.name}.heard.wav")
    ffmpeg("-i", path, "-map", f"0:a:{track}", "-c:a", "pcm_f32le", target)
    return soundfile.read(target, dtype="float32", always_2d=True)[0]


def parts(folder: Path, options: str, ending: str, seconds: tuple[float, ...]) -> list[Path]:
    """Files that go on where the one before ends, encoded by ffmpeg one by one."""
    whole, made, begin = melody(sum(seconds)), [], 0
    for number, length in enumerate(seconds):
        source = folder / f"part{number}.wav"
        stop = begin + round(length * RATE)
        soundfile.write(source, whole[begin:stop], RATE)
        made.append(folder / f"part{number}{ending}")
        ffmpeg("-i", source, *options.split(), made[-1])
        begin = stop
    return made


def join(target: Path, files: list[Path], between: bytes = b"") -> Path:
    """Files one behind the other, as ``cat`` joins them."""
    target.write_bytes(between.join(file.read_bytes() for file in files))
    return target


def chunk(name: bytes, content: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav_of(*chunks: bytes, channels: int = 2, bits: int = 16, rate: int = RATE) -> bytes:
    """A WAV of PCM with these chunks behind its format."""
    width = channels * bits // 8
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate, rate * width, width, bits))
    body = b"WAVE" + fmt + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm(audio: npt.NDArray[np.float64]) -> bytes:
    """16-bit samples."""
    return np.round(audio * 32767).astype("<i2").tobytes()


def dts(folder: Path, seconds: float = 2) -> npt.NDArray[np.uint16]:
    """DTS frames as 16-bit words."""
    soundfile.write(folder / "for_dts.wav", melody(seconds), RATE)
    options = ["-c:a", "dca", "-strict", "-2", "-b:a", "768k", "-f", "dts"]
    ffmpeg("-i", folder / "for_dts.wav", *options, folder / "a.dts")
    return np.frombuffer((folder / "a.dts").read_bytes(), ">u2")


def in_14_bits(words: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """DTS frames as discs have them: 14 bits a word, the sign spread over the other two."""
    head = words[:4].astype(">u2").tobytes()
    size = ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1
    bits = np.unpackbits(words.astype(">u2").view(np.uint8)).reshape(-1, 8 * size)
    bits = np.pad(bits, ((0, 0), (0, -8 * size % 28))).reshape(-1, 14).astype(int)
    values = (bits << np.arange(13, -1, -1)).sum(axis=1)
    return np.where(values & 0x2000, values | 0xC000, values).astype(np.uint16)


def put_words(path: Path, words: npt.NDArray[np.uint16], subtype: str = "PCM_16") -> Path:
    """16-bit words as the samples of a stereo file of any format."""
    samples = words[: len(words) // 2 * 2].view(np.int16).astype(np.int32) << 16
    soundfile.write(path, samples.reshape(-1, 2), RATE, subtype=subtype)
    return path
