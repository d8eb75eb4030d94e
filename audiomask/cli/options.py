"""The options every subcommand shares."""

import functools
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from audiomask.cli.console import set_up_messages
from audiomask.cli.exits import status_of
from audiomask.cli.paths import local_paths
from audiomask.errors import UsageError
from audiomask.options import Option, options_of

if TYPE_CHECKING:
    from audiomask.engine import Engine

logger = logging.getLogger(__name__)

#: a cluster's address
RAY_ADDRESS = re.compile(r"auto|local|(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Common:
    """The shared options, passed to every subcommand."""

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
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Do files on a Ray cluster: auto (default), local or HOST:PORT; --jobs is for "
            "each node, and a GPU does one.",
        ),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = (
        False
    )
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist, do the others.")
    ] = False
    page: Annotated[
        bool,
        typer.Option(
            "--page",
            help="Also write a page to listen to and look at, for browsers; of several files a "
            "list of their pages, index.html.",
        ),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")
    ] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False

    def check(self) -> None:
        """Raise UsageError where options exclude each other or are out of range."""
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose exclude each other")
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(f"--device is auto, cpu, cuda or cuda:N, not '{self.device}'")
        if self.ray is not None and not RAY_ADDRESS.fullmatch(self.ray):
            raise UsageError(f"--ray is auto, local or HOST:PORT, not '{self.ray}'")
        if self.ray is not None and self.device.startswith("cuda:"):
            raise UsageError("--ray gives each worker a GPU: use --device cuda, auto or cpu")

    def open_engine(self) -> "Engine":
        """The engine that the options choose; imports torch."""
        from audiomask.engine import Engine
        from audiomask.runtime.device import describe_device, share_of_threads

        threads = self.threads
        if threads is None and self.jobs > 1 and self.ray is None:
            # even for fewer files than jobs: the last bits of results depend on the thread count
            threads = share_of_threads(self.jobs)
        engine = Engine(self.model, self.device, threads)
        logger.debug("computing on %s", describe_device(engine.device))
        return engine


def command(*omitted: str) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Make a typer command of ``function(common, **own options) -> exit code``.

    The fields of Common are added to its options, except the ``omitted`` ones. An exception becomes
    one line on stderr and an exit code.
    """
    shared = [field.name for field in fields(Common) if field.name not in omitted]

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**values: Any) -> None:
            try:
                given = {name: local_paths(value) for name, value in values.items()}
                common = Common(**{name: given.pop(name) for name in shared})
                common.check()
                set_up_messages(quiet=common.quiet, verbose=common.verbose, debug=common.debug)
                status = function(common, **given)
            except (Exception, KeyboardInterrupt) as error:
                status = status_of(error, bool(values["debug"]))
            raise typer.Exit(status)

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


def takes(owner: type) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add the options that a dataclass declares to a command, which gets them as ``asked``.

    ``asked`` has the value of every field with an option: the parsed one, or the default.
    """
    hints, options = get_type_hints(owner), options_of(owner)
    defaults = {field.name: field for field in fields(owner)}

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        own = [p for p in inspect.signature(function).parameters.values() if p.name != "asked"]
        added = [_parameter(defaults[name], hints[name], options[name]) for name in options]

        @functools.wraps(function)
        def run(*arguments: Any, **values: Any) -> int:
            asked = {name: _value(values.pop(name), options[name], hints[name]) for name in options}
            return function(*arguments, asked=asked, **values)

        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own[1:]]
        # arguments without a default come first, in the help as on the command line
        first = [p for p in kept if p.default is p.empty]
        last = [p for p in kept if p.default is not p.empty]
        run.__signature__ = inspect.Signature([own[0], *first, *added, *last])  # type: ignore[attr-defined]
        return run

    return decorate


def _parameter(field: Field[Any], hint: Any, option: Option) -> inspect.Parameter:
    """The command's parameter for a field of an options dataclass."""
    several = get_origin(hint) in (tuple, Mapping)
    kind: Any
    if option.parse is not None:
        kind = str
    elif several:
        kind = get_args(hint)[0]
    else:
        kind = hint
    default = None if field.default in (MISSING, ()) else field.default
    if field.default is MISSING and option.required and field.default_factory is MISSING:
        default = inspect.Parameter.empty
    if several:
        kind = list[kind]
    if default is None:
        kind = kind | None
    declared = typer.Option(
        *option.names.split(),
        help=option.help,
        metavar=option.metavar,
        min=option.least if option.parse is None else None,
        rich_help_panel=option.panel,
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, declared],
    )


def _value(given: Any, option: Option, hint: Any) -> Any:
    """The parsed value of an option; a tuple for a repeatable one."""
    if get_origin(hint) in (tuple, Mapping):
        return tuple(option.parse(text) if option.parse else text for text in given or ())
    return given if given is None or option.parse is None else option.parse(given)
