"""Inputs and outputs at addresses (``s3://``, ``sftp://`` …), each with a stand-in on this disk.

The stand-in of an address is a path below a temporary folder. Commands plan with it as with any
path. An input is fetched to its stand-in before the work on it, and outputs are sent from theirs
when they are complete. Messages and reports name addresses in place of stand-ins.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

from audiomask.errors import AudioFileError, DependencyError, OutputExistsError, UsageError, why
from audiomask.runtime.dependencies import optional

#: the beginning of an address; one letter is a drive of Windows
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://(.+)", re.IGNORECASE | re.DOTALL)
#: bytes of a name in a file system
_LONGEST = 255
#: protocols that only read
_WEB = ("http", "https")
#: protocols whose objects appear when all of them has come; elsewhere a file is renamed when it is
#: complete
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss")


class _Place(NamedTuple):
    """An address as fsspec sees it.

    Attributes:
        files: the file system.
        path: the path in it.
    """

    files: Any
    path: str


class StandIns:
    """Where stand-ins lie; the folder is made when it is first needed, and removed at exit."""

    folder: Path | None = None


def stand_in_folder() -> Path:
    """The folder of this run's stand-ins."""
    if StandIns.folder is None:
        made = tempfile.mkdtemp(prefix="audiomask-")
        use_stand_ins(Path(os.path.realpath(made)))
    assert StandIns.folder is not None
    return StandIns.folder


def use_stand_ins(folder: Path) -> None:
    """Have stand-ins in a folder: a worker on another machine uses the paths of its command."""
    folder.mkdir(parents=True, exist_ok=True)
    StandIns.folder = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def is_address(text: str) -> bool:
    """Whether a name is an address, other than ``file://``, and no file of this machine."""
    found = _ADDRESS.match(text)
    return found is not None and found[1].lower() != "file" and not os.path.lexists(text)


def stand_in(address: str) -> Path:
    """The path that stands for an address.

    Raises:
        UsageError: no path can stand for it, or its protocol is unknown.
        DependencyError: what reads its protocol is not installed.
    """
    found = _ADDRESS.match(address)
    assert found is not None
    path = stand_in_folder() / found[1].lower() / found[2]
    plain = f"{found[1].lower()}://{found[2]}".rstrip("/")
    if ".." in path.parts or name_addresses(str(path)) != plain:
        raise UsageError(f"{address}: '..', '//' and '/./' may not be in an address")
    if any(len(os.fsencode(part)) > _LONGEST for part in path.parts):
        raise UsageError(f"{address}: is too long an address: download it first")
    _place(plain)
    return path


def address_of(path: Path) -> str | None:
    """The address that a path stands for; None for a path of this machine."""
    if StandIns.folder is None or not path.is_relative_to(StandIns.folder):
        return None
    return name_addresses(str(path))


def name_addresses(text: str) -> str:
    """A message with addresses in place of their stand-ins."""
    if StandIns.folder is None:
        return text
    before = re.escape(str(StandIns.folder))
    return re.sub(rf"{before}/([a-z][a-z0-9+.-]+)/", r"\1://", text)


def files_below(path: Path) -> list[Path] | None:
    """Stand-ins of the files in a folder at an address, sorted; None where it is no folder.

    Raises:
        AudioFileError: it cannot be listed.
    """
    address = address_of(path)
    if address is None or address.startswith(_WEB):
        return None  # whether a web page is a folder is not known before it is read
    files, folder = _place(address)
    with _errors(address, "listed"):
        if not files.isdir(folder):
            return None
        found = sorted(str(name) for name in files.find(folder))
    top = folder.strip("/")
    return [path / name.strip("/")[len(top) :].lstrip("/") for name in found]


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, here or at its address."""
    address = address_of(path)
    if address is None or address.startswith(_WEB):
        return path.is_dir()
    files, folder = _place(address)
    with _errors(address, "reached"):
        return bool(files.isdir(folder))


def exists_there(path: Path) -> bool:
    """Whether there is something at the address of a stand-in."""
    address = address_of(path)
    if address is None:
        return False
    files, there = _place(address)
    with _errors(address, "reached"):
        files.invalidate_cache()  # another run may have made it
        return bool(files.exists(there))


def check_writable(path: Path) -> None:
    """Raise UsageError for the stand-in of an address that nothing can be written to."""
    address = address_of(path)
    if address is not None and address.startswith(_WEB):
        raise UsageError(f"{address}: nothing can be written there: choose a place with -o")


@contextmanager
def fetched(source: Path, outputs: Iterable[Path], overwrite: bool) -> Iterator[None]:
    """Work with stand-ins: the input is there, and after the work its outputs are sent.

    Stand-ins are removed in the end, also after an error. Paths of this machine are left alone.

    Raises:
        AudioFileError: the input cannot be read, or an output cannot be written.
        OutputExistsError: an output exists meanwhile, without ``overwrite``.
    """
    away = [path for path in outputs if address_of(path) is not None]
    try:
        if (address := address_of(source)) is not None:
            files, there = _place(address)
            source.parent.mkdir(parents=True, exist_ok=True)
            with _errors(address, "read"):
                files.get_file(there, str(source))
        yield
        for path in away:
            _send(path, overwrite)
    finally:
        for path in [*away, *[source] * (address_of(source) is not None)]:
            path.unlink(missing_ok=True)


def _send(path: Path, overwrite: bool) -> None:
    """Send a complete output to its address, where it appears as a whole."""
    address = address_of(path)
    assert address is not None
    if not overwrite and exists_there(path):
        raise OutputExistsError(f"{address}: exists; pass --overwrite to replace it")
    files, there = _place(address)
    with _errors(address, "written"):
        if address.partition("://")[0] in _OBJECT_STORES:
            files.put_file(str(path), there)
            return
        folder = there.rpartition("/")[0]
        hidden = f"{folder}/.audiomask-{token_hex(8)}.part"
        files.makedirs(folder, exist_ok=True)
        try:
            files.put_file(str(path), hidden)
            files.mv(hidden, there)
        except BaseException:
            with suppress(Exception):
                files.rm_file(hidden)
            raise


def _place(address: str) -> _Place:
    protocol = address.partition("://")[0]
    fsspec = optional("fsspec", "remote", f"{protocol}://")
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise DependencyError(f"{protocol}:// cannot be reached: {error}") from error
    except ValueError as error:
        raise UsageError(
            f"{address}: there is no protocol {protocol}:// (there are s3, gs, https, sftp …)"
        ) from error
    with _errors(address, "reached"):
        return _Place(*fsspec.core.url_to_fs(address))


@contextmanager
def _errors(address: str, done: str) -> Iterator[None]:
    """Turn what a protocol's package raises, which is of any class, into one line."""
    try:
        yield
    except (AudioFileError, UsageError, DependencyError):
        raise
    except FileNotFoundError as error:
        raise AudioFileError(f"{address}: cannot be {done}: there is no such file") from error
    except Exception as error:
        reason = " ".join((why(error) or type(error).__name__).split())
        raise AudioFileError(f"{address}: cannot be {done}: {reason}") from error
