"""Shards: a folder written by ``audiomask train --pack``, or the address of one elsewhere."""

from __future__ import annotations

from pathlib import Path

from audiomask.data.layouts.layout import Layout
from audiomask.data.shards.address import Address, Shards, load, parse
from audiomask.data.shards.manifest import MANIFEST, UNFINISHED
from audiomask.data.shards.source import ShardSource
from audiomask.data.shards.store import wrong_size
from audiomask.errors import DataError, why

_NAME = "tar shards"


def find(folder: Path) -> ShardSource | None:
    """The shards that a folder's ``shards.json`` lists; None when it has none.

    Raises:
        DataError: packing is not finished, a shard is missing or cut short, or the list is damaged.
    """
    if (folder / MANIFEST).is_file():
        return find_at(Address(str(folder), f"{folder}/", streamed=False))
    if (folder / UNFINISHED).is_file():
        raise DataError(f"{folder}: packing it was interrupted; give the same --pack again")
    return None


def find_at(address: Address | str) -> ShardSource:
    """The shards at an address; the sizes of local ones are checked.

    Raises:
        DataError: as ``find``, or the address cannot be read.
    """
    if isinstance(address, str):
        address = parse(address)
    shards = load(address)
    if not address.streamed:
        _check(shards)
    complete = shards.manifest.complete
    return ShardSource(Path(address.before), _NAME, shards, complete=complete)


def _check(shards: Shards) -> None:
    """Compare the sizes of shards in a folder with those in the manifest.

    Raises:
        DataError: one is missing or has another size.
    """
    for shard in shards.manifest.shards:
        path = Path(shards.address.of(shard.name))
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(
                f"{path}: is missing though {MANIFEST} lists it ({why(error)}); copy it as well"
            ) from error
        if size != shard.size:
            raise wrong_size(str(path), size, shard.size)


LAYOUT = Layout("tar shards (shards.json)", find)
