"""Manifest: the contents of a set of shards.

Shards are tar files in webdataset's format: the members of a sample follow each other and share
the name before the first dot. A sample is a segment of a song::

    SHARDS/shards.json
    SHARDS/train/000000.tar
        000000.json         {"song": "Track00001", "start": 0.0, "seconds": 30.0, …}
        000000.bass.flac
        000000.guitar.flac
        000001.json
        000001.mixture.flac  a recording without stems

Members of a tar are not compressed, and ``shards.json`` has the offset of each, so that any of them
can be read alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from audiomask.data.tracks import SPLITS
from audiomask.errors import DataError

MANIFEST = "shards.json"
#: the file that marks a folder, with the packing's origin, until the manifest is written
UNFINISHED = "unfinished.json"
#: ``format`` in a manifest; others are refused
FORMAT = "audiomask shards 1"
MIXTURE = "mixture"
#: shards' names, which become parts of paths, addresses and commands
NAME = re.compile(rf"({'|'.join(SPLITS)})/\d{{6,}}\.tar")


class Member(NamedTuple):
    """A FLAC file in a shard.

    Attributes:
        shard: the shard's name.
        name: the member's name.
        offset: its first byte in the shard.
        size: in bytes.
        gain: factor that restores the level; audio beyond full scale is attenuated when packed.
    """

    shard: str
    name: str
    offset: int
    size: int
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A passage of a song, one sample of a shard.

    Attributes:
        name: the song's name.
        start: its start in the song, in seconds.
        seconds: its duration.
        sample_rate: of its members, in Hz.
        stems: members by stem, one each; empty for a plain recording.
        mixture: the member of a recording without stems.
    """

    name: str
    start: float
    seconds: float
    sample_rate: int
    stems: Mapping[str, tuple[Member, ...]]
    mixture: Member | None

    @property
    def members(self) -> dict[str, Member]:
        """The members by stem or ``mixture``."""
        found = {stem: member for stem, (member,) in self.stems.items()}
        return found if self.mixture is None else found | {MIXTURE: self.mixture}


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Attributes:
        name: its path below the manifest's folder, ``train/000000.tar``.
        size: bytes.
        segments: its samples, in order.
    """

    name: str
    size: int
    segments: tuple[Segment, ...]

    @property
    def split(self) -> str:
        """``train``, ``validation`` or ``test``."""
        return self.name.split("/")[0]


@dataclass(frozen=True)
class Manifest:
    """The contents of a set of shards.

    Attributes:
        shards: in the order of their names.
        complete: whether a stem that a segment does not have is silent in it.
        origin: the data and settings of the packing.
    """

    shards: tuple[Shard, ...]
    complete: bool
    origin: Mapping[str, Any]

    def of(self, split: str) -> tuple[Shard, ...]:
        """The shards of a split."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def only(self, names: Collection[str]) -> Manifest:
        """The manifest of some of the shards.

        Raises:
            DataError: one of them is not among them.
        """
        missing = sorted(set(names) - {shard.name for shard in self.shards})
        if missing:
            raise DataError(f"{missing[0]}: is not among the shards that {MANIFEST} lists")
        chosen = tuple(shard for shard in self.shards if shard.name in names)
        return dataclasses.replace(self, shards=chosen)

    @property
    def stems(self) -> Counter[str]:
        """Number of segments by stem."""
        return Counter(s for shard in self.shards for seg in shard.segments for s in seg.stems)

    @property
    def seconds(self) -> float:
        """Total duration of all segments."""
        return sum(segment.seconds for shard in self.shards for segment in shard.segments)

    @property
    def fingerprint(self) -> str:
        """A hash of the shards' names, sizes and origin."""
        known = [(shard.name, shard.size) for shard in self.shards]
        text = json.dumps([known, self.origin], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The contents of ``shards.json``; ``splits`` is for people and other programs."""
        return {
            "format": FORMAT,
            "origin": dict(self.origin),
            "complete": self.complete,
            "splits": {split: _totals(self.of(split)) for split in SPLITS if self.of(split)},
            "shards": [
                {
                    "name": shard.name,
                    "size": shard.size,
                    "samples": [_segment_to_json(segment) for segment in shard.segments],
                }
                for shard in self.shards
            ],
        }


def _totals(shards: Sequence[Shard]) -> dict[str, Any]:
    """The totals of one split."""
    segments = [segment for shard in shards for segment in shard.segments]
    stems = Counter(stem for segment in segments for stem in segment.stems)
    return {
        "shards": len(shards),
        "samples": len(segments),
        "songs": len({segment.name for segment in segments}),
        "seconds": round(sum(segment.seconds for segment in segments), 3),
        "stems": dict(sorted(stems.items())),
    }


def _segment_to_json(segment: Segment) -> dict[str, Any]:
    """One sample's entry: its members as [name, offset, size] or [name, offset, size, gain]."""
    files = {
        what: [m.name, m.offset, m.size, *([m.gain] if m.gain != 1 else [])]
        for what, m in segment.members.items()
    }
    return {
        "song": segment.name,
        "start": segment.start,
        "seconds": segment.seconds,
        "sample_rate": segment.sample_rate,
        "files": files,
    }


def _segment_of(
    entry: Mapping[str, Any], shard: str, files: Mapping[str, Sequence[Any]]
) -> Segment:
    """A segment from JSON and its members as ``_segment_to_json`` has them."""
    members = {what: Member(shard, *_map_member(given)) for what, given in files.items()}
    mixture = members.pop(MIXTURE, None)
    if not members and mixture is None:
        raise ValueError("a sample without sound")
    return Segment(
        str(entry["song"]),
        float(entry["start"]),
        float(entry["seconds"]),
        int(entry["sample_rate"]),
        {stem: (member,) for stem, member in members.items()},
        mixture,
    )


def _map_member(given: Sequence[Any]) -> tuple[str, int, int, float]:
    """Name, offset, size and gain of a member, checked."""
    name, offset, size, *gain = given
    if len(gain) > 1:
        raise ValueError("a member of more than four values")
    return str(name), int(offset), int(size), float(gain[0]) if gain else 1.0


def from_json(text: str | bytes, where: str) -> Manifest:
    """Read a manifest.

    Args:
        text: of ``shards.json``.
        where: its name in errors.

    Raises:
        DataError: it is damaged, or of another version.
    """
    try:
        entries = json.loads(text)
        if entries["format"] != FORMAT:
            raise DataError(
                f"{where}: is '{entries['format']}', not '{FORMAT}'; pack the data again"
            )
        shards = []
        for given in entries["shards"]:
            name = str(given["name"])
            if not NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name of a shard")
            segments = tuple(_segment_of(one, name, one["files"]) for one in given["samples"])
            shards.append(Shard(name, int(given["size"]), segments))
        return Manifest(tuple(shards), bool(entries["complete"]), entries["origin"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{where}: is no list of shards ({reason}); pack the data again") from error


def scan(file: Path, name: str) -> tuple[Shard, int]:
    """The contents of a shard on disk, and the number of its last sample.

    Raises:
        tarfile.TarError, OSError, KeyError, ValueError: it is not a whole shard.
    """
    entries: dict[str, dict[str, Any]] = {}
    files: dict[str, dict[str, list[Any]]] = {}
    with tarfile.open(file, "r:") as tar:
        for member in tar:
            key, kind = member.name.split(".", 1)
            if kind == "json":
                stored = tar.extractfile(member)
                assert stored is not None  # it is a plain file
                entries[key] = json.load(stored)
            else:
                what = kind.removesuffix(".flac")
                gains = entries[key].get("gains", {})
                place = [member.name, member.offset_data, member.size, gains.get(what, 1.0)]
                files.setdefault(key, {})[what] = place
    for key, entry in entries.items():
        if set(files[key]) != set(entry["stems"] or [MIXTURE]):
            raise ValueError(f"sample {key} is not whole")
    segments = tuple(_segment_of(entry, name, files[key]) for key, entry in entries.items())
    return Shard(name, file.stat().st_size, segments), max(map(int, entries))
