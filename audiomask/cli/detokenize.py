"""``audiomask detokenize``: tokens back to audio."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from audiomask.cli.console import Meter
from audiomask.cli.inputs import collect_inputs, output_folder
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.page_file import PAGE, check_page, with_page
from audiomask.cli.page_index import PageIndex
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
    check_page(common.page, output)
    if common.page:
        jobs = [with_page(job) for job in jobs]
    check_outputs(jobs, common)
    index = PageIndex("detokenize", found, output, jobs, common)

    from audiomask.audio.writer import AudioWriter
    from audiomask.tokens import load_tokens

    engine = common.open_engine()

    def work(job: Job, meter: Meter) -> None:
        tokens = load_tokens(job.input.source)
        meter.start(job.input.label, tokens.duration)
        with ExitStack() as stack:
            writer = page = None
            if "" in job.outputs:
                writer = stack.enter_context(
                    AudioWriter(
                        job.output,
                        tokens.sample_rate,
                        tokens.channels,
                        wanted,
                        overwrite=common.overwrite,
                        frames=tokens.num_samples,
                    )
                )
            if PAGE in job.outputs:
                from audiomask.cli.token_page import TokenPage  # which loads what draws

                place, title = Path(job.outputs[PAGE]), job.input.relative.name
                page = stack.enter_context(TokenPage(place, title, tokens, common.overwrite))
            for block in engine.detokenize(tokens):
                if writer is not None:
                    writer.write(block)
                if page is not None:
                    page.write_decoded(block)
                meter.advance(block.shape[-1] / tokens.sample_rate)
            if page is not None:
                page.finish()
        if writer is not None:
            report_clipping(job.output, writer.clipped)

    status = run_jobs(jobs, common, work)
    index.write()
    return status


def _is_tokens(path: Path) -> bool:
    return path.name.lower().endswith(_SUFFIXES)


def _audio_name(path: Path) -> Path:
    name = path.name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return path.with_name(name[: -len(suffix)] + ".wav")
    return path.with_name(path.stem + ".wav")
