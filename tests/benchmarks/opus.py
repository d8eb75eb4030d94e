"""Opus: the codec to be measured beside, through opus-tools' opusenc and opusdec."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.files import read_audio, write_audio


def available() -> bool:
    """Whether opusenc and opusdec are installed."""
    return shutil.which("opusenc") is not None and shutil.which("opusdec") is not None


def round_trip(audio: Tensor, sample_rate: int, kbps: float) -> tuple[Tensor, int]:
    """Encode and decode mono audio.

    60 ms packets: at these rates they sound better than the default of 20 ms and waste fewer bits
    on the container. No metadata padding.

    Args:
        audio: [T].
        kbps: the target; what comes out is often below it.

    Returns:
        the decoded audio [T] at ``sample_rate``, and the size of the file in bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        original, coded, decoded = (Path(folder, name) for name in ("a.wav", "a.opus", "b.wav"))
        write_audio(original, audio[None], sample_rate, "PCM_24")
        encode = ["opusenc", "--quiet", "--bitrate", f"{kbps:g}", "--framesize", "60"]
        encode += ["--music", "--padding", "0", "--discard-comments", str(original), str(coded)]
        decode = ["opusdec", "--quiet", "--rate", str(sample_rate), "--float"]
        decode += [str(coded), str(decoded)]
        for command in (encode, decode):
            subprocess.run(command, check=True, capture_output=True)
        back, _ = read_audio(decoded)
        size = coded.stat().st_size
    length = audio.shape[-1]
    return F.pad(back[0, :length], (0, max(0, length - back.shape[-1]))), size
