"""Segments: cutting songs, and encoding a segment as the files of a sample."""

from __future__ import annotations

import functools
import io
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from audiomask.audio.pcm import BITS, is_lossy, to_integers
from audiomask.data.mixing import stereo
from audiomask.data.reading import SeekingSource, open_source, read_span
from audiomask.data.shards.manifest import MIXTURE
from audiomask.data.tracks import Track
from audiomask.errors import DataError

#: shortest segment at the end of a song, in seconds
_SHORTEST_REST = 5.0


class PendingSegment(NamedTuple):
    """A segment to be packed.

    Attributes:
        song: the song's name in the shards.
        track: the song.
        start: in seconds.
        seconds: its duration.
    """

    song: str
    track: Track
    start: float
    seconds: float


def cut_song(song: str, track: Track, seconds: float) -> list[PendingSegment]:
    """The segments of a song; a short rest at its end is added to the last one."""
    rest = min(_SHORTEST_REST, seconds / 2)
    number = max(1, int((track.seconds + seconds - rest) // seconds))
    starts = [index * seconds for index in range(number)]
    ends = [*starts[1:], track.seconds]
    return [
        PendingSegment(song, track, start, end - start)
        for start, end in zip(starts, ends, strict=True)
    ]


def order_segments(songs: list[list[PendingSegment]], seed: int) -> list[PendingSegment]:
    """The segments of all songs in the order of packing.

    A song's segments are shuffled and spread evenly, so that every shard has some of as many songs
    as possible, and neighbours are of different songs if there are others.
    """
    rng = np.random.default_rng([seed, len(songs), 5])
    placed = []
    for number, segments in enumerate(songs):
        places = (rng.permutation(len(segments)) + rng.random()) / len(segments)
        placed += [
            (place, number, segment)
            for place, segment in zip(places.tolist(), segments, strict=True)
        ]
    order = [segment for _, _, segment in sorted(placed, key=lambda one: one[:2])]
    for here in range(1, len(order)):
        song = order[here].song
        if order[here - 1].song != song:
            continue
        others = (n for n in range(here + 1, len(order)) if order[n].song != song)
        if (there := next(others, None)) is not None:
            order.insert(here, order.pop(there))
        else:  # only this song is left: insert between earlier ones of others
            before = [segment.song for segment in order[:here]]
            spots = (n for n in range(here) if song not in before[max(n - 1, 0) : n + 1])
            if (spot := next(spots, None)) is not None:
                order.insert(spot, order.pop(here))
    return order


def encode(segment: PendingSegment, key: str) -> dict[str, bytes]:
    """A segment as the files of a sample, in order.

    Every stem is one FLAC file at the song's own rate, the sum of the stem's files: of 16 bits for
    lossy files and files of 16 bits, otherwise of 24. Audio beyond full scale is attenuated by a
    power of 2, stored in ``gains``.

    Raises:
        DataError: a file cannot be read.
    """
    track = segment.track
    files = dict(sorted(track.stems.items()))
    if not files and track.mixture is not None:
        files = {MIXTURE: (track.mixture,)}
    rate = max(_native_format(file)[0] for group in files.values() for file in group)
    start, stop = round(segment.start * rate), round((segment.start + segment.seconds) * rate)
    sounds, gains = {}, {}
    for name, group in files.items():
        audio = torch.zeros(1, stop - start)
        for file in group:
            read = read_span(file, start, stop, rate)
            audio = audio + (read if len(read) <= 2 else torch.stack(stereo(read)))
        fine = all(_native_format(file) == (rate, 16) for file in group)
        sounds[name], gain = _to_flac(audio, rate, 16 if fine else 24, group[0])
        if gain != 1:
            gains[name] = gain
    entry: dict[str, Any] = {
        "song": segment.song,
        "start": segment.start,
        "seconds": (stop - start) / rate,
        "sample_rate": rate,
        "stems": list(files) if track.stems else [],
    }
    if gains:
        entry["gains"] = gains
    made = {f"{key}.json": json.dumps(entry, ensure_ascii=False).encode()}
    return made | {f"{key}.{name}.flac": sound for name, sound in sounds.items()}


def _to_flac(audio: Tensor, rate: int, bits: int, file: Path) -> tuple[bytes, float]:
    """Samples [C, T] as FLAC, and the factor that restores their level."""
    highest = 1 - 2.0 ** (1 - bits)
    beyond = max(float(audio.max()) / highest, -float(audio.min()))
    gain = 1.0
    if beyond > 1:
        gain, bits = 2.0 ** math.ceil(math.log2(beyond)), 24
    subtype = f"PCM_{bits}"
    out = io.BytesIO()
    try:
        soundfile.write(out, to_integers(audio / gain, subtype), rate, subtype, format="FLAC")
    except soundfile.LibsndfileError as error:
        raise DataError(f"{file}: cannot be stored as FLAC ({error.error_string})") from error
    return out.getvalue(), gain


@functools.lru_cache(maxsize=4096)
def _native_format(file: Path) -> tuple[int, int]:
    """A file's sample rate, and bits to store it with: 16 or 24.

    Files decoded by ffmpeg count as lossy.
    """
    with open_source(file) as source:
        subtype = source.file.subtype if isinstance(source, SeekingSource) else ""
        few = is_lossy(subtype) or BITS.get(subtype, 32) <= 16
        return source.sample_rate, 16 if few else 24
