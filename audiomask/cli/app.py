"""The ``audiomask`` application: its subcommands, ``--version`` and its exit status."""

import os
import sys
from typing import Annotated, NoReturn

import typer

import audiomask
from audiomask.cli.detokenize import detokenize
from audiomask.cli.evaluate import evaluate
from audiomask.cli.exits import (
    describe,
    discard_stdout,
    discard_unsent_stderr,
    exit_as_sigpipe,
    leave,
    open_missing_streams,
    separate_stderr,
)
from audiomask.cli.help_panels import PanelledCommand
from audiomask.cli.infill import infill
from audiomask.cli.info import info
from audiomask.cli.options import RAY_ADDRESS, command
from audiomask.cli.separate import separate
from audiomask.cli.shrink import shrink
from audiomask.cli.signals import Listener
from audiomask.cli.tokenize import tokenize
from audiomask.cli.train import train

# Plain help, not rich's: importing rich would make --help slow.
app = typer.Typer(
    name="audiomask",
    rich_markup_mode=None,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(command()(tokenize))
app.command()(command()(detokenize))
app.command()(command()(infill))
app.command()(command()(separate))
_ALONE = ("jobs", "ray", "skip_existing")  # of commands that do no files
app.command(cls=PanelledCommand)(command(*_ALONE)(evaluate))
app.command(cls=PanelledCommand)(command(*_ALONE, "overwrite", "model", "page")(train))
app.command()(command(*_ALONE, "model", "device", "threads", "page")(shrink))
app.command()(command(*_ALONE, "overwrite", "page")(info))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"audiomask {audiomask.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Turn music into tokens, fill its gaps and separate its instruments.

    '-' is standard input or output; several files and folders are welcome everywhere.
    Exit status: 0 all done, 1 some file failed, 2 wrong usage.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit the process with its status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # a notebook names a way to draw that need not be installed here, where no window is opened
    os.environ["MPLBACKEND"] = "agg"
    open_missing_streams()
    separate_stderr()
    listener, status = Listener(), 0
    try:
        # asked to end, a command removes its half-written files, as it does when it fails
        with listener:
            status = _run(arguments or ["--help"])
    except BrokenPipeError:
        exit_as_sigpipe()
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        if listener.number is None:
            raise
    if listener.number is not None:  # its exception may have been replaced by another
        status = 128 + listener.number
    discard_unsent_stderr()
    leave(status)


def with_ray_address(arguments: list[str]) -> list[str]:
    """The arguments, with ``--ray=auto`` for a ``--ray`` that no address follows."""
    return [
        "--ray=auto" if word == "--ray" and not RAY_ADDRESS.fullmatch(after) else word
        for word, after in zip(arguments, [*arguments[1:], ""], strict=True)
    ]


def _run(arguments: list[str]) -> int:
    """The exit status of a command line."""
    try:
        arguments = with_ray_address(arguments)
        status = app(args=arguments, prog_name="audiomask", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # standard output could not take --help or --version
        print(f"audiomask: error: standard output: {describe(error)}", file=sys.stderr)
        discard_stdout()
        return 1
    except Exception as error:
        # typer's class of usage errors is private; only they have format_message
        if not hasattr(error, "format_message"):
            raise
        _print_usage_error(error)
        return 2
    return status if isinstance(status, int) else 0


def _print_usage_error(error: Exception) -> None:
    """Print a usage error as one line that names the command whose help explains more."""
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "audiomask"
    print(f"audiomask: error: {message.rstrip('.')} (see {path} --help)", file=sys.stderr)
