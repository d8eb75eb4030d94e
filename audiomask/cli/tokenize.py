"""``audiomask tokenize``: audio to tokens."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.console import Meter
from audiomask.cli.inputs import Location, collect_inputs, named_path, output_folder
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.page_file import PAGE, check_page, with_page
from audiomask.cli.page_index import PageIndex
from audiomask.cli.sample_format import report_input, report_nonfinite
from audiomask.errors import UsageError

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.engine import Engine
    from audiomask.tokens import Tokens


class _TokenFormat(StrEnum):
    """Formats of a token file; a NumPy array has the codes alone."""

    safetensors = "safetensors"
    text = "text"
    npy = "npy"


class _Stereo(StrEnum):
    """How the two channels of a stereo recording are coded."""

    separate = "separate"
    mid_side = "mid-side"


class _TokenKind(StrEnum):
    """What tokens are of: the sound itself, or what the spectrogram model hears in it."""

    acoustic = "acoustic"
    semantic = "semantic"


_ENDINGS = {
    _TokenFormat.safetensors: ".safetensors",
    _TokenFormat.text: ".txt",
    _TokenFormat.npy: ".npy",
}


def tokenize(
    common: Common,
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN", help="Audio files, folders, or '-'.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File, folder or '-' (default: beside IN)."
        ),
    ] = None,
    format: Annotated[
        _TokenFormat | None,
        typer.Option(
            "--format",
            help="Default: by the output's ending, or safetensors. npy: an array of codes alone.",
        ),
    ] = None,
    kind: Annotated[
        _TokenKind,
        typer.Option(
            "--kind", help="Tokens that decode to sound, or 21.5 a second that tell what it is."
        ),
    ] = _TokenKind.acoustic,
    levels: Annotated[
        int | None,
        typer.Option("--levels", metavar="N", min=1, help="Codebooks to keep (default: all)."),
    ] = None,
    stereo: Annotated[
        _Stereo,
        typer.Option(
            "--stereo", help="Code left and right, or mid and side (keeps width, blurs places)."
        ),
    ] = _Stereo.separate,
) -> int:
    """Turn audio into tokens.

    song.wav becomes song.tokens.safetensors, or song.semantic.tokens.safetensors.
    """
    semantic = kind is _TokenKind.semantic
    if semantic and (levels is not None or stereo is not _Stereo.separate):
        raise UsageError("--levels and --stereo belong to --kind acoustic")
    middle = ".semantic" if semantic else ""
    chosen = format or _format_of(output)
    found = collect_inputs(inputs, is_audio, output_folder(output))
    jobs = plan_files(
        found,
        output,
        lambda path: path.with_name(f"{path.stem}{middle}.tokens{_ENDINGS[chosen]}"),
        text=chosen is _TokenFormat.text,
    )
    check_page(common.page, output)
    if common.page:
        jobs = [with_page(job) for job in jobs]
    check_outputs(jobs, common)
    for job in jobs:
        _check_ending(job.output, chosen)
    index = PageIndex("tokenize", found, output, jobs, common)

    from audiomask.audio.files import AudioFile
    from audiomask.tokens import save_tokens

    engine = common.open_engine()

    def work(job: Job, meter: Meter) -> None:
        with AudioFile(job.input.source) as source:
            report_input(source)
            meter.start(job.input.label, source.frames / source.sample_rate)
            if semantic:
                tokens = engine.tokenize_semantic(source, meter.advance)
            else:
                tokens = engine.tokenize(source, levels, meter.advance, stereo.value)
            if PAGE in job.outputs:
                _write_page(job, tokens, source, engine, common)
            report_nonfinite(source)
        if "" in job.outputs:
            save_tokens(tokens, job.output, chosen.value, overwrite=common.overwrite)

    status = run_jobs(jobs, common, work)
    index.write()
    return status


def _write_page(
    job: Job, tokens: "Tokens", source: "AudioFile", engine: "Engine", common: Common
) -> None:
    """Write the page of a recording; what draws is loaded only where one is wanted."""
    from audiomask.cli.token_page import TokenPage

    place, title = Path(job.outputs[PAGE]), job.input.relative.name
    with TokenPage(place, title, tokens, common.overwrite) as page:
        page.add_original(source)
        page.add_decoded(engine)
        page.finish()


def _format_of(output: str | None) -> _TokenFormat:
    """The format by the suffix of an output file; safetensors for anything else."""
    if output is not None and not named_path(output).is_dir():
        for format, ending in _ENDINGS.items():
            if output.lower().endswith(ending):
                return format
    return _TokenFormat.safetensors


def _check_ending(place: Location, format: _TokenFormat) -> None:
    """Raise UsageError for a file whose suffix is not that of the format.

    Names without a suffix, devices and named pipes are not checked.
    """
    if place == "-" or not place.suffix or (place.exists() and not place.is_file()):
        return
    ending = place.suffix.lower()
    if ending == _ENDINGS[format]:
        return
    if ending in _ENDINGS.values():
        raise UsageError(
            f"{place}: --format {format.value} writes {_ENDINGS[format]}, not {ending}"
        )
    known = ", ".join(_ENDINGS.values())
    raise UsageError(f"{place}: tokens are written as {known}; there is no {ending}")
