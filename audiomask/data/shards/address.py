"""Addresses of shards: a folder, or anything that webdataset reads as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audiomask.data.places import SCHEME
from audiomask.data.shards.manifest import MANIFEST, NAME, Manifest, from_json
from audiomask.errors import DataError, why
from audiomask.runtime.dependencies import optional

#: the feature that needs the extra, for its error
_STREAMING = "streaming shards"
#: bytes read at once
_BLOCK = 1 << 20
#: meanings of curl's exit statuses
_CURL = {
    "6": "its host is unknown",
    "7": "it refuses the connection",
    "18": "it ended too soon",
    "22": "the server refuses it or does not have it",
    "28": "it took too long",
}


@dataclass(frozen=True)
class Address:
    """The address of a set of shards.

    Attributes:
        text: as the user wrote it.
        before: the part before a shard's name.
        streamed: whether files can only be read from start to end.
        after: the part after it, as in ``pipe:zstd -dc /data/train/000000.tar.zst``.
        names: the selected shards; None for all.
    """

    text: str
    before: str
    streamed: bool
    after: str = ""
    names: frozenset[str] | None = None

    def of(self, name: str) -> str:
        """The address of a file of the set."""
        return f"{self.before}{name}{self.after}"


@dataclass(frozen=True)
class Shards:
    """A set of shards: its address and contents."""

    address: Address
    manifest: Manifest


def load(address: Address) -> Shards:
    """Read the manifest at an address.

    Raises:
        DataError: it is missing, damaged, or lacks a selected shard.
    """
    where = address.of(MANIFEST)
    if address.streamed:
        text = b"".join(stream(where))
    else:
        try:
            text = Path(where).read_bytes()
        except OSError as error:
            raise DataError(f"{where}: cannot be read ({why(error)})") from error
    manifest = from_json(text, where)
    return Shards(address, manifest if address.names is None else manifest.only(address.names))


def parse(text: str) -> Address:
    """Parse an address as a user writes it.

    To ``https://host/shards/`` and ``pipe:ssh host cat /shards/`` file names are appended:
    ``shards.json`` and ``train/000000.tar``. ``https://host/train/{000000..000099}.tar`` selects
    some of the shards; ``shards.json`` takes the place of a shard's name in it.

    Raises:
        DataError: shards of several places, or a broken pattern.
        DependencyError: webdataset is not installed.
    """
    if not re.search(r"\.tar\b", text):
        bare = text.removesuffix(MANIFEST)
        return Address(text, bare if bare.endswith("/") else f"{bare}/", True)
    try:
        expanded = list(optional("braceexpand", "shards", _STREAMING).braceexpand(text))
    except ValueError as error:
        raise DataError(f"{text}: its braces cannot be expanded ({error})") from error
    places, names = set(), set()
    for one in expanded:
        found = list(NAME.finditer(one))
        if not found:
            raise DataError(f"{one}: is no shard's address, which has a train/000000.tar in it")
        names.add(found[-1][0])
        places.add((one[: found[-1].start()], one[found[-1].end() :]))
    if len(places) > 1:
        raise DataError(f"{text}: names shards of several sets; give each its own --data")
    before, after = places.pop()
    return Address(text, before, bool(SCHEME.match(before)), after, frozenset(names))


def stream(address: str) -> Iterator[bytes]:
    """The bytes at an address, in blocks, as webdataset reads them.

    Raises:
        DataError: it cannot be read to its end.
        DependencyError: webdataset is not installed.
    """
    gopen = optional("webdataset.gopen", "shards", _STREAMING).gopen
    try:
        with gopen(address) as source:
            while block := source.read(_BLOCK):
                yield block
    except (OSError, ValueError) as error:
        raise DataError(f"{address}: cannot be read: {_reason_of(error, address)}") from error


def _reason_of(error: Exception, address: str) -> str:
    """The reason of webdataset's error, without the command's arguments."""
    if isinstance(error, FileNotFoundError) and "curl" in str(error):
        return "curl is not installed"
    ended = re.search(r"exit (-?\d+) \(read\)", str(error))
    if ended is None:
        return why(error)
    meaning = _CURL.get(ended[1]) if address.startswith("http") else None
    return meaning or f"the command ended with status {ended[1]}"
