"""Paths on the command line that the shell does not expand: ``~`` and ``file:`` addresses."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from audiomask.cli.addresses import is_address, stand_in
from audiomask.errors import UsageError

#: the beginning of an address; pathlib removes one of its slashes
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)


def local_path(text: str, addresses: bool = False) -> str:
    """The file or folder that a name stands for.

    A leading ``~`` is the home folder, as no shell expands it after ``--output=``. ``file:///a`` is
    ``/a``. An existing file of exactly this name goes first.

    Args:
        text: the name.
        addresses: whether it may be an address on the network: its stand-in is returned.

    Raises:
        UsageError: it is an address on the network, and may not be.
    """
    if addresses and is_address(text):
        return str(stand_in(text))
    if text.startswith("~"):
        return os.path.expanduser(text)  # unchanged where there is no such user
    scheme = _SCHEME.match(text)
    if scheme is None or os.path.lexists(text):
        return text
    if scheme[1].lower() == "file":
        return _of_file_address(text)
    raise UsageError(f"{text} is an address, and addresses are not read: download it first")


def local_paths(value: Any) -> Any:
    """An option's value with ``local_path`` applied to every Path in it."""
    if isinstance(value, Path):
        text = _SCHEME.sub(lambda found: f"{found[1]}://", str(value), count=1)
        return value if text == str(value) and text[:1] != "~" else Path(local_path(text))
    if isinstance(value, list | tuple):
        return type(value)(local_paths(item) for item in value)
    return value


def _of_file_address(text: str) -> str:
    rest = text.partition(":")[2]
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "/", rest[1:])
    if host.lower() not in ("", "localhost"):
        raise UsageError(f"{text} is on another machine ({host}): copy it here first")
    return url2pathname(slash + path)
