"""``--page``: its place among the outputs of a job."""

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from urllib.parse import quote

from audiomask.cli.addresses import address_of, is_address
from audiomask.cli.inputs import Location
from audiomask.cli.outputs import Job
from audiomask.errors import UsageError

#: the name of the page among a job's outputs; no stem has a colon in its name
PAGE = ":page"


class OpenPage:
    """A page that is being made. A context manager.

    What the page will embed lies in the temporary ``folder``, which is removed with it.

    Args:
        path: of the page.
        overwrite: whether an existing page may be replaced.
    """

    folder: Path

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path, self.overwrite = path, overwrite
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        made = self.stack.enter_context(TemporaryDirectory(prefix="audiomask-"))
        self.folder = Path(made)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.__exit__(kind, error, trace)


def check_page(page: bool, output: str | None) -> None:
    """Raise UsageError if a page is to be written beside standard output, or at an address."""
    if page and output == "-":
        raise UsageError("--page is written beside the results: name a folder with -o, not '-'")
    if page and output is not None and (is_address(output) or address_of(Path(output))):
        raise UsageError("--page is opened from a disk: name a folder of this machine with -o")


def with_page(job: Job) -> Job:
    """A job of one output file with a page of the same name.

    Raises:
        UsageError: it writes to standard output, or to an address.
    """
    check_page(page=True, output=str(job.output))
    return Job(job.input, job.outputs | {PAGE: Path(job.output).with_suffix(".html")})


def sounds(job: Job) -> dict[str, Location]:
    """The outputs of a job without its page."""
    return {name: place for name, place in job.outputs.items() if name != PAGE}


def clock(seconds: float, digits: int = 0) -> str:
    """Minutes and seconds: ``3:07``."""
    whole = round(seconds, digits)
    width = 3 + digits if digits else 2
    return f"{int(whole // 60)}:{whole % 60:0{width}.{digits}f}"


def address(place: Path, page: Path) -> str:
    """The address of a file in a page."""
    # the page is read from where it lies, so links in its folder's path must not mislead
    relative = os.path.relpath(os.path.realpath(place), os.path.realpath(page.parent))
    return quote(Path(relative).as_posix())
