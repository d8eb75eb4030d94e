"""Bitrates of lossy formats as settings of their encoders."""

from __future__ import annotations

from typing import Any

from audiomask.audio.aac import CODING, aac_bitrate
from audiomask.errors import UsageError

# LAME: sample rate from which the lowest and highest bitrate apply.
_MP3 = ((32_000, 32_000, 320_000), (16_000, 8_000, 160_000), (0, 8_000, 64_000))
# Opus: lowest and highest bitrate of a channel.
_OPUS = (6_000, 256_000)
# Vorbis has qualities 0 to 10. These are their nominal kbit/s a channel, at 44.1 kHz and above: of
# stereo, whose channels are coupled, and of all others.
_VORBIS_STEREO = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
_VORBIS_OTHERS = (48, 60, 70, 80, 86, 96, 110, 120, 140, 160, 240)


def encoder_settings(
    subtype: str, bitrate: int | None, sample_rate: int, channels: int
) -> dict[str, Any]:
    """Arguments for ``soundfile.SoundFile``, or for ``AACFile``.

    MP3 gets a constant bitrate, Opus and Vorbis a variable one with that average.

    Args:
        subtype: ``MPEG_LAYER_III``, ``VORBIS``, ``OPUS`` or ``AAC``; others have no bitrate.
        bitrate: bits a second of all channels; None for the encoder's own choice.
        sample_rate: samples a second.
        channels: number of channels.

    Raises:
        UsageError: the format has no bitrate, or not this one.
    """
    if subtype == CODING:
        return {"bitrate": aac_bitrate(bitrate, sample_rate, channels)}
    if bitrate is None:
        return {}
    if subtype == "MPEG_LAYER_III":
        low, high = next((low, high) for rate, low, high in _MP3 if sample_rate >= rate)
        level = _share(bitrate, low, high)
        return {"compression_level": level, "bitrate_mode": "CONSTANT"}
    if subtype == "OPUS":
        return {"compression_level": _share(bitrate, *(channels * end for end in _OPUS))}
    if subtype == "VORBIS":
        scale = 1000 * channels * min(sample_rate / 44_100, 1)
        steps = [scale * n for n in (_VORBIS_STEREO if channels == 2 else _VORBIS_OTHERS)]
        _share(bitrate, round(steps[0]), round(steps[-1]))
        above = next((at for at in range(1, 10) if steps[at] >= bitrate), 10)
        part = (bitrate - steps[above - 1]) / (steps[above] - steps[above - 1])
        quality = (above - 1 + part) / 10
        return {"compression_level": 1 - min(max(quality, 0), 1)}
    raise UsageError(f"--bitrate is for mp3, ogg, opus and m4a: {subtype} has none to choose")


def parse_bitrate(text: str) -> int:
    """Bits a second from ``192k``, ``192`` (thousands) or ``192000``.

    Raises:
        UsageError: it is none of these.
    """
    number = text.strip().lower().removesuffix("k")
    if not (number.isascii() and number.isdecimal() and 0 < len(number) < 10):
        raise UsageError(f"--bitrate {text}: give it as 192k or 192")
    plain = int(number)
    return plain * 1000 if text.strip()[-1] in "kK" or plain < 1000 else plain


def _share(bitrate: int, low: int, high: int) -> float:
    """Position of a bitrate between the highest, 0, and the lowest, 1; raises UsageError."""
    if not low <= bitrate <= high:
        raise UsageError(
            f"--bitrate {bitrate / 1000:g}k: this format and sample rate take"
            f" {-(-low // 1000)}k to {high // 1000}k"
        )
    return (high - bitrate) / (high - low)
