"""A recording on a page: its pictures and its encoded audio, made block by block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from audiomask.audio.writer import AudioWriter
from audiomask.page.pictures import Peaks, Spectrogram, draw_spectrogram
from audiomask.page.token_map import TokenMap

#: seconds of all tracks of a page together up to which they are embedded without loss, and at all.
#: A browser decodes embedded audio as a whole: half an hour of stereo fills 600 MB of its memory.
LOSSLESS_SECONDS, EMBEDDED_SECONDS = 360.0, 1800.0
_LOSSY_BITRATE = 160_000
#: least level of the lightest color, so that silence is dark
_LOWEST_TOP_DB = -60.0
#: largest difference in loudness that is evened out, and the smallest that is told, in decibels
_LARGEST_MATCH_DB, _SMALLEST_TOLD_DB = 20.0, 0.1


def choose_ending(seconds: float) -> str:
    """The format of embedded audio that browsers play; ``""`` where it is too long to embed.

    Vorbis keeps the length to the sample, unlike MP3, and takes a third of its time.

    Args:
        seconds: of all tracks of the page together.
    """
    if seconds > EMBEDDED_SECONDS:
        return ""
    return "flac" if seconds <= LOSSLESS_SECONDS else "ogg"


class Track:
    """A recording on a page. A context manager, inside which its samples are written and finished.

    Args:
        name: shown beside it.
        frames: samples per channel.
        sample_rate: samples a second.
        channels: number of channels.
        encoded: the file to encode its audio into; None to play ``address``.
        address: of a file to play, relative to the page.
        alone: whether it is only heard alone, and no part of the mix.

    Attributes:
        lanes: numbers from 0 to 1 for each second, by the name of their lane.
        remark: shown beside the name.
        gain: factor of its volume on the page.
    """

    def __init__(
        self,
        name: str,
        frames: int,
        sample_rate: int,
        channels: int,
        encoded: Path | None,
        address: str = "",
        alone: bool = False,
    ) -> None:
        self.name, self.alone = name, alone
        self.encoded, self.address = encoded, address
        self.lanes: Mapping[str, Sequence[float]] = {}
        self.remark = ""
        self.gain = 1.0
        self._writer = None
        if encoded is not None:
            lossy = encoded.suffix == ".ogg"
            self._writer = AudioWriter(
                encoded,
                sample_rate,
                channels,
                None if lossy else "PCM_16",
                bitrate=_LOSSY_BITRATE if lossy else None,
            )
        self._peaks = Peaks(max(frames, 1))
        self._spectrogram = Spectrogram(max(frames, 1), sample_rate, channels)
        self._energy, self._samples = 0.0, 0
        self._decibels: Tensor | None = None

    def __enter__(self) -> Self:
        if self._writer is not None:
            self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(kind, error, trace)

    def finish(self) -> None:
        """End the encoded file and the picture: all samples are written."""
        self.__exit__(None, None, None)
        self._decibels = self._spectrogram.decibels()

    def write(self, audio: Tensor) -> None:
        """Write samples [C, n] that follow those written before; NaN becomes 0."""
        audio = audio.detach().cpu().float().nan_to_num(0, 0, 0)
        if not audio.shape[1]:
            return
        if self._writer is not None:
            self._writer.write(audio.clamp(-1, 1))
        self._peaks.add(audio)
        self._spectrogram.add(audio)
        self._energy += float(audio.double().square().sum())
        self._samples += audio.numel()

    @property
    def level_db(self) -> float:
        """Root mean square in dB of full scale, at least -120."""
        return 10 * math.log10(max(self._energy / max(self._samples, 1), 1e-12))

    @property
    def loudness_db(self) -> float:
        """How loud it is, in decibels, at least -120: to be compared with other tracks' only."""
        return self._spectrogram.loudness_db

    def brightness(self, columns: int) -> Tensor:
        """How high its sound lies, from 0 to 1, in each of ``columns`` equal parts of it."""
        assert self._decibels is not None
        # twice as loud to the ear is ten decibels more
        loud = (self._decibels / 10).exp2().flip(0)
        bands = torch.linspace(0, 1, len(loud))
        center = (loud * bands[:, None]).sum(dim=0) / loud.sum(dim=0)
        return center[torch.arange(columns) * len(center) // columns]

    @property
    def top_db(self) -> float:
        """Level of the loudest place of its picture."""
        assert self._decibels is not None
        return float(self._decibels.max())

    def described(self, top_db: float) -> dict[str, Any]:
        """What the page's script reads of it, but for embedded audio.

        Args:
            top_db: level of the lightest color.
        """
        assert self._decibels is not None
        return {
            "name": self.name,
            "alone": self.alone,
            "address": self.address,
            "remark": self.remark,
            "level": round(self.level_db, 1),
            "gain": round(self.gain, 4),
            "peaks": self._peaks.packed(),
            "picture": draw_spectrogram(self._decibels, top_db),
            "lanes": {k: [round(v, 2) for v in values] for k, values in self.lanes.items()},
        }


def match_loudness(tracks: Sequence[Track]) -> None:
    """Let tracks be heard as loud as the softest of them, so that they are compared by their sound.

    One that is nearly silent beside the others keeps them as they are, and stays so.
    """
    levels = [track.loudness_db for track in tracks]
    heard = [level for level in levels if level > max(levels) - _LARGEST_MATCH_DB]
    for track, level in zip(tracks, levels, strict=True):
        lower = max(level - min(heard), 0.0)
        track.gain = 10 ** (-lower / 20)
        if lower >= _SMALLEST_TOLD_DB:
            told = f"played {lower:.1f} dB softer"
            track.remark = f"{track.remark}, {told}" if track.remark else told


@dataclass
class Player:
    """Tracks of a page that play together, or in turn where each is ``alone``.

    Attributes:
        title: above them.
        seconds: their duration.
        tracks: finished ones.
        start: second of the recording at which they begin.
        regions: marked passages, as start and end in seconds of the recording.
        facts: names and values about them.
        maps: pictures below them, under the same playhead.
    """

    title: str
    seconds: float
    tracks: Sequence[Track]
    start: float = 0.0
    regions: Sequence[tuple[float, float]] = ()
    facts: Sequence[tuple[str, str]] = ()
    maps: Sequence[TokenMap] = ()

    def described(self) -> dict[str, Any]:
        """What the page's script reads of it."""
        top = max([_LOWEST_TOP_DB, *(track.top_db for track in self.tracks)])
        return {
            "kind": "player",
            "title": self.title,
            "seconds": self.seconds,
            "start": self.start,
            "regions": [list(region) for region in self.regions],
            "facts": [list(fact) for fact in self.facts],
            "tracks": [track.described(top) for track in self.tracks],
            "maps": [one.described() for one in self.maps],
        }
