"""``audiomask tokenize``: audio to tokens."""

from enum import StrEnum
from typing import Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.inputs import collect_inputs, output_folder
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.progress import Meter
from audiomask.cli.report import run_jobs
from audiomask.cli.writing import report_input, report_nonfinite


class TokenFormat(StrEnum):
    """The two forms of a token file."""

    safetensors = "safetensors"
    text = "text"


class Stereo(StrEnum):
    """What the two channels of a stereo recording are coded as."""

    separate = "separate"
    mid_side = "mid-side"


_SUFFIXES = {TokenFormat.safetensors: ".tokens.safetensors", TokenFormat.text: ".tokens.txt"}


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
        TokenFormat | None,
        typer.Option("--format", help="Default: text for an output named .txt, or safetensors."),
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option("--levels", metavar="N", min=1, help="Codebooks to keep (default: all)."),
    ] = None,
    stereo: Annotated[
        Stereo,
        typer.Option(
            "--stereo", help="Code left and right, or mid and side (keeps width, blurs places)."
        ),
    ] = Stereo.separate,
) -> int:
    """Turn audio into tokens.

    song.wav becomes song.tokens.safetensors.
    """
    if format is None:
        named_text = output is not None and output.lower().endswith(".txt")
        format = TokenFormat.text if named_text else TokenFormat.safetensors
    chosen = format
    found = collect_inputs(inputs, is_audio, output_folder(output))
    jobs = plan_files(
        found,
        output,
        lambda path: path.with_name(path.stem + _SUFFIXES[chosen]),
        text=chosen is TokenFormat.text,
    )
    check_outputs(jobs, common)

    from audiomask.audio.files import AudioFile
    from audiomask.tokens import save_tokens

    engine = common.open_engine()

    def work(job: Job, meter: Meter) -> None:
        with AudioFile(job.input.source) as source:
            report_input(source)
            meter.start(job.input.label, source.frames / source.sample_rate)
            tokens = engine.tokenize(source, levels, meter.advance, stereo.value)
            report_nonfinite(source)
        save_tokens(tokens, job.output, chosen.value, overwrite=common.overwrite)

    return run_jobs(jobs, common, work)
