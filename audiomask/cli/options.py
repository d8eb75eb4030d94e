"""The options every subcommand shares."""

import functools
import inspect
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiomask.cli.console import set_up_messages
from audiomask.cli.exits import guarded
from audiomask.cli.paths import local_paths
from audiomask.errors import UsageError

if TYPE_CHECKING:
    from audiomask.engine import Engine

logger = logging.getLogger(__name__)

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Common:
    """The shared options, as one value handed to every subcommand."""

    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="DIR", help="Folder of checkpoints (default: bundled)."),
    ] = None
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where to compute.")
    ] = "auto"
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", min=1, help="CPU threads (default: all cores)."),
    ] = None
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Files at once; cores are shared, --threads is for each.",
        ),
    ] = 1
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = (
        False
    )
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist, do the others.")
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")
    ] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False

    def check(self) -> None:
        """Raise UsageError where options contradict each other or cannot be."""
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose exclude each other")
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(f"--device is auto, cpu, cuda or cuda:N, not '{self.device}'")

    def open_engine(self) -> "Engine":
        """The engine that the options choose; imports torch."""
        from audiomask.engine import Engine
        from audiomask.runtime.device import describe_device, share_of_threads

        threads = self.threads
        if threads is None and self.jobs > 1:
            # by what is asked for, however few the files: what is computed depends on it a little
            threads = share_of_threads(self.jobs)
        engine = Engine(self.model, self.device, threads)
        logger.debug("computing on %s", describe_device(engine.device))
        return engine


def command(*omitted: str) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Make a typer command of ``function(common, **own options) -> exit code``.

    The fields of Common are added to its options, save the ``omitted`` ones. Whatever it raises
    leaves as one line on stderr and an exit code.
    """
    shared = [field.name for field in fields(Common) if field.name not in omitted]

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**values: Any) -> None:
            def work() -> int:
                given = {name: local_paths(value) for name, value in values.items()}
                common = Common(**{name: given.pop(name) for name in shared})
                common.check()
                set_up_messages(quiet=common.quiet, verbose=common.verbose, debug=common.debug)
                return function(common, **given)

            raise typer.Exit(guarded(work, bool(values["debug"])))

        own = list(inspect.signature(function).parameters.values())[1:]
        added = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(Common).parameters.items()
            if name in shared
        ]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
