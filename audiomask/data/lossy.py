"""Lossy compression: what a recording sounds like after MP3."""

from __future__ import annotations

from io import BytesIO

import soundfile as sf
import torch
from torch import Tensor

#: sample rates of MPEG-1, layer III, in Hz; encoders make lower ones another rate's at times
MP3_RATES = (32_000, 44_100, 48_000)
#: strongest compression that keeps the sample rate: about 100 kbit/s of stereo at 44.1 kHz
STRONGEST = 0.75
#: peak before compression, which overshoots
_PEAK = 0.8


def through_mp3(audio: Tensor, sample_rate: int, compression: float) -> Tensor:
    """Audio [C, T] encoded as MP3 and decoded, in place and at its level, on its device.

    Args:
        audio: one or two channels.
        sample_rate: in Hz, one of ``MP3_RATES``.
        compression: from 0, the highest constant bitrate (320 kbit/s at 44.1 kHz), to
            ``STRONGEST``.

    Raises:
        ValueError: another rate or a stronger compression.
    """
    if sample_rate not in MP3_RATES or not 0 <= compression <= STRONGEST:
        raise ValueError(f"no MP3 of {sample_rate} Hz and compression {compression:g}")
    peak = float(audio.abs().amax())
    if peak == 0:
        return audio
    gain = _PEAK / peak
    file = BytesIO()
    sf.write(
        file, (audio.cpu() * gain).T.numpy(), sample_rate, format="MP3",
        subtype="MPEG_LAYER_III", compression_level=compression, bitrate_mode="CONSTANT",
    )  # fmt: skip
    file.seek(0)
    # the encoder's delay is told in the file, and taken away in reading
    decoded, _ = sf.read(file, dtype="float32", always_2d=True)
    made = torch.zeros_like(audio, device="cpu")
    length = min(len(decoded), audio.shape[-1])
    made[:, :length] = torch.from_numpy(decoded[:length].T) / gain
    return made.to(audio.device)
