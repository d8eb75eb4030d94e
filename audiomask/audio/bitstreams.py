"""Bit streams: DTS and AC-3 stored in a file as if they were PCM samples.

CDs with DTS, and recordings of a digital output (S/PDIF), become WAV or FLAC files with a header of
PCM. Read as PCM they are loud noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from audiomask.audio.pcm import BITS

_Samples = npt.NDArray[np.int32]
_Words = npt.NDArray[np.uint16]

#: samples per channel that are searched, after a file's leading silence
_SEARCHED = 1 << 14
#: sync words of DTS frames, as 16-bit samples: 16 and 14 bits a word, in both byte orders
_DTS = ((0x7FFE, 0x8001), (0xFE7F, 0x0180), (0x1FFF, 0xE800), (0xFF1F, 0x00E8))
#: sync words of IEC 61937 bursts, in both byte orders
_BURST, _BURST_SWAPPED = (0xF872, 0x4E1F), (0x72F8, 0x1F4E)
#: the same in words of 20 and 24 bits (SMPTE 337M), and the mask of significant bits
_WIDE_BURSTS = (((0x6F872000, 0x54E1F000), 0xFFFFF000), ((0x96F87200, 0xA54E1F00), 0xFFFFFF00))
_AC3 = 0x0B77
#: AC-3's bit rates / 1000 by half the frame size code
_AC3_RATES = (
    *(32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640),
)


class BitStream(NamedTuple):
    """A bit stream stored in place of samples.

    Attributes:
        name: for messages.
        demuxer: ffmpeg's demuxer; empty where it has none.
        swapped: whether the bytes of every word must be swapped for ffmpeg.
        lead: samples per channel before it begins.
    """

    name: str
    demuxer: str
    swapped: bool
    lead: int


def find_bitstream(file: soundfile.SoundFile) -> BitStream | None:
    """The bit stream that a file's samples are, if they are one. The file is read from its start.

    Sync words must recur soon after the file's leading silence; a single match is chance.
    """
    if BITS.get(file.subtype, 0) < 16:
        return None
    lead, samples = _first_sound(file)
    words = (samples >> 16).astype(np.uint16)

    def found(name: str, demuxer: str, swapped: bool, place: int) -> BitStream:
        return BitStream(name, demuxer, swapped, lead + place // file.channels)

    for sync in _DTS:
        places = _pairs(words, sync)
        # three at equal distances: discs pad frames to a fixed size
        if len(places) > 2 and np.bincount(np.diff(places)).max() > 1:
            return found("DTS", "dts", False, places[0])
    for sync, swapped in ((_BURST, False), (_BURST_SWAPPED, True)):
        if len(places := _pairs(words, sync)) > 1:
            return found("S/PDIF", "spdif", swapped, places[0])
    for sync, mask in _WIDE_BURSTS:
        if len(places := _pairs(samples.view(np.uint32) & np.uint32(mask), sync)) > 1:
            return found("SMPTE 337M", "", False, places[0])
    for swapped in (True, False):
        place = _find_ac3(words if swapped else words.byteswap())
        if place is not None:
            return found("AC-3", "ac3", swapped, place)
    return None


def to_bytes(samples: _Samples, stream: BitStream) -> bytes:
    """A bit stream's bytes, for ffmpeg, of int32 samples [n, C]."""
    words = (samples.reshape(-1) >> 16).astype("<u2")
    return (words.byteswap() if stream.swapped else words).tobytes()


def _first_sound(file: soundfile.SoundFile) -> tuple[int, _Samples]:
    """Number of leading silent samples, and the interleaved samples after them."""
    lead = 0
    if file.tell():
        file.seek(0)
    while len(block := file.read(_SEARCHED, dtype="int32", always_2d=True)):
        loud = np.flatnonzero(block.any(axis=1))
        if len(loud):
            more = file.read(int(loud[0]), dtype="int32", always_2d=True)
            sound: _Samples = np.concatenate([block[loud[0] :], more]).reshape(-1)
            return lead + int(loud[0]), sound
        lead += len(block)
    return lead, np.zeros(0, dtype=np.int32)


def _pairs(words: npt.NDArray[np.generic], pair: tuple[int, int]) -> list[int]:
    """Positions of two consecutive words."""
    found = np.flatnonzero((words[:-1] == pair[0]) & (words[1:] == pair[1]))
    return [int(place) for place in found]


def _find_ac3(words: _Words) -> int | None:
    """Position of two consecutive AC-3 frames, the first with a valid checksum; None for none."""
    for place in map(int, np.flatnonzero(words == _AC3)):
        if place + 3 > len(words):
            break
        rate, code = int(words[place + 2]) >> 14, int(words[place + 2]) >> 8 & 63
        if rate == 3 or code // 2 >= len(_AC3_RATES):
            continue
        bits = _AC3_RATES[code // 2]
        size = (2 * bits, 320 * bits // 147 + code % 2, 3 * bits)[rate]
        follows = place + size < len(words) and words[place + size] == _AC3
        # the first checksum covers five eighths of the frame
        if follows and not _checksum(words[place + 1 : place + (size >> 1) + (size >> 3)]):
            return place
    return None


def _checksum(words: _Words) -> int:
    """The CRC (x^16 + x^15 + x^2 + 1) of words, most significant bits first."""
    value = 0
    for word in map(int, words):
        value ^= word
        for _ in range(16):
            value = (value << 1 ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value
