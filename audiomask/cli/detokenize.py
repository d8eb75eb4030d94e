"""``audiomask detokenize``: tokens back to audio."""

from pathlib import Path
from typing import Annotated

import typer

from audiomask.cli.console import Meter
from audiomask.cli.inputs import collect_inputs, output_folder
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.sample_format import report_clipping, subtype_name

_SUFFIXES = (".tokens.safetensors", ".tokens.txt")


def detokenize(
    common: Common,
    inputs: Annotated[
        list[str], typer.Argument(metavar="TOKENS", help="Token files, folders, or '-'.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File, folder or '-' (default: beside TOKENS)."
        ),
    ] = None,
    subtype: Annotated[
        str | None,
        typer.Option("--subtype", metavar="NAME", help="PCM_16, PCM_24, FLOAT ..."),
    ] = None,
) -> int:
    """Turn tokens back into audio.

    song.tokens.safetensors becomes song.wav.
    """
    wanted = subtype_name(subtype)
    found = collect_inputs(inputs, _is_tokens, output_folder(output), audio=False)
    jobs = plan_files(found, output, _audio_name)
    check_outputs(jobs, common)

    from audiomask.audio.writer import AudioWriter
    from audiomask.tokens import load_tokens

    engine = common.open_engine()

    def work(job: Job, meter: Meter) -> None:
        tokens = load_tokens(job.input.source)
        meter.start(job.input.label, tokens.duration)
        with AudioWriter(
            job.output,
            tokens.sample_rate,
            tokens.channels,
            wanted,
            overwrite=common.overwrite,
            frames=tokens.num_samples,
        ) as writer:
            for block in engine.detokenize(tokens):
                writer.write(block)
                meter.advance(block.shape[-1] / tokens.sample_rate)
        report_clipping(job.output, writer.clipped)

    return run_jobs(jobs, common, work)


def _is_tokens(path: Path) -> bool:
    return path.name.lower().endswith(_SUFFIXES)


def _audio_name(path: Path) -> Path:
    name = path.name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return path.with_name(name[: -len(suffix)] + ".wav")
    return path.with_name(path.stem + ".wav")
