"""``audiomask separate``: the stems of a song."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.console import Meter
from audiomask.cli.inputs import Inputs, collect_inputs, output_folder
from audiomask.cli.job_report import check_report
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs
from audiomask.cli.page_file import PAGE, check_page, sounds
from audiomask.cli.page_index import PageIndex
from audiomask.cli.paths import local_path
from audiomask.cli.sample_format import (
    Bitrate,
    bits_a_second,
    report_clipping,
    report_input,
    report_lost,
    report_nonfinite,
    subtype_name,
)
from audiomask.cli.stem_plan import AudioFormat, StemPlan, check_folder, choose_stems
from audiomask.cli.template import DEFAULT_TEMPLATE
from audiomask.errors import UsageError
from audiomask.separation.settings import Quality, SeparationMethod
from audiomask.separation.stems import RESIDUAL, without

logger = logging.getLogger(__name__)


def separate(
    common: Common,
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN", help="Audio files, folders, or '-'.")
    ],
    stem: Annotated[
        list[str] | None,
        typer.Option("--stem", metavar="NAME", help="A stem, or 'all' (default); repeatable."),
    ] = None,
    minus: Annotated[
        list[str] | None,
        typer.Option(
            "--minus", metavar="NAME", help="Write the song without this stem; repeatable."
        ),
    ] = None,
    residual: Annotated[
        bool, typer.Option("--residual", help="Also write the rest, without these stems.")
    ] = False,
    method: Annotated[
        SeparationMethod,
        typer.Option(
            "--method",
            help="Mask the recording's spectrum by the mask U-Net (mask) or by the stems' "
            "predicted tokens (wiener), or decode these tokens alone.",
        ),
    ] = SeparationMethod.mask,
    quality: Annotated[
        Quality,
        typer.Option(
            "--quality",
            help="Of the masks; best averages four passes, at about four times the cost.",
        ),
    ] = Quality.normal,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write JSON lines: which stems play in every second, with confidence and level.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Write where one song's stems play, as Audacity labels.",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder, or '-' for one stem.")
    ] = "separated",
    template: Annotated[
        str | None,
        typer.Option("--template", help=f"Names below the folder (default: {DEFAULT_TEMPLATE})."),
    ] = None,
    format: Annotated[
        AudioFormat | None, typer.Option("--format", help="Default: by the template, or wav.")
    ] = None,
    subtype: Annotated[
        str | None,
        typer.Option("--subtype", metavar="NAME", help="PCM_16, PCM_24, FLOAT ..."),
    ] = None,
    bitrate: Bitrate = None,
) -> int:
    """Separate a song into its instruments.

    song.wav becomes separated/song/guitar.wav and so on. --minus guitar writes the song without
    its guitar, separated/song (no guitar).wav; --stem guitar --residual writes both, one beside
    the other.
    """
    wanted = subtype_name(subtype)
    output = local_path(output, addresses=True)
    check_page(common.page, output)
    check_folder(output, inputs)
    if minus and "all" in minus:
        raise UsageError("--minus all would leave what no stem holds: use --stem all --residual")
    if residual and minus and not stem:
        raise UsageError("--residual writes what --stem leaves: name one, or leave out --residual")
    requested = stem or ([] if minus else ["all"])
    plan = StemPlan(
        tuple(dict.fromkeys(requested)),
        residual,
        tuple(dict.fromkeys(minus or [])),
        output,
        template,
        format,
        wanted,
        common.page,
    )
    found = collect_inputs(inputs, is_audio, output_folder(output))
    _check_options(method, quality, report, labels, found)
    if labels is not None and common.ray is not None:
        raise UsageError("--labels takes one song, and --ray is for many: use --report")
    # wrong usage is reported before torch is loaded, except for stems, which the model decides
    coded = bits_a_second(bitrate, plan.endings(plan.jobs(found)))
    if "all" not in requested:
        check_outputs(plan.jobs(found), common)

    from audiomask.audio.files import AudioFile
    from audiomask.audio.formats import default_subtype
    from audiomask.audio.metadata.reading import read_metadata
    from audiomask.audio.metadata.stems import for_stem
    from audiomask.audio.writer import AudioWriter
    from audiomask.cli.stem_report import StemReport, save_stem_labels

    engine = common.open_engine()
    known = engine.stems(method)
    plan = replace(
        plan,
        stems=choose_stems(plan.stems, known),
        minus=choose_stems(plan.minus, known),
    )
    jobs = plan.jobs(found)
    check_outputs(jobs, common)
    index = PageIndex("separate", found, output, jobs, common)
    check_report(report, jobs, common)
    check_report(labels, jobs, common, resumable=False, option="--labels")

    def work(job: Job, meter: Meter) -> None:
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source))
            rate = source.sample_rate
            report_input(source)
            meter.start(job.input.label, source.frames / rate)
            written = sounds(job)
            endings = {name: plan.ending(job.input, name) for name in written}
            kept = {
                name: wanted or default_subtype(source.subtype, ending)
                for name, ending in endings.items()
            }
            metadata = read_metadata(source)
            writers = {
                name: stack.enter_context(
                    AudioWriter(
                        place,
                        rate,
                        source.channels,
                        kept[name],
                        format=endings[name],
                        overwrite=common.overwrite,
                        frames=source.frames,
                        metadata=for_stem(metadata, name, job.input.relative.stem),
                        bitrate=coded,
                    )
                )
                for name, place in written.items()
            }
            shown = None
            if PAGE in job.outputs:
                from audiomask.cli.stem_page import StemPage  # which loads what draws

                shown = stack.enter_context(StemPage(plan, job.input, source, common.overwrite))
            # what is left lacks all requested stems, also those that exist and are skipped
            needed = set(plan.names if shown is not None else writers)
            with_residual = bool({RESIDUAL, plan.without} & needed)
            names = plan.separated if with_residual or shown is not None else tuple(writers)
            log = engine.activity_log() if method is SeparationMethod.mask else None
            for blocks in engine.separate(
                source,
                names,
                with_residual,
                next(iter(kept.values()), "FLOAT"),
                method=method.value,
                quality=quality.value,
                log=log,
            ):
                for name, writer in writers.items():
                    given = name in plan.stems
                    writer.write(blocks[name] if given else without(blocks, plan.removed(name)))
                if shown is not None:
                    shown.write(blocks)
                meter.advance(next(iter(blocks.values())).shape[-1] / rate)
            seconds = log.seconds(source.frames / rate) if log is not None else []
            seconds = [second for second in seconds if second.stem in names]
            present = log.found(source.frames / rate) if log is not None else {}
            if shown is not None:
                shown.finish(seconds, present)
            if log is not None:
                if labels is not None:
                    save_stem_labels(labels, seconds)
                lines.add(job, seconds)
        report_nonfinite(source)
        report_lost(job.input.label, metadata.lost)
        for name, place in written.items():
            report_lost(place, writers[name].lost)
            report_clipping(place, writers[name].clipped)
        _report_absent(job.input.label, present, names)

    with StemReport(report, jobs, common) as lines:
        status = run_jobs(jobs, common, work, lines.failed)
    index.write()
    return status


def _report_absent(label: str, found: Mapping[str, bool], requested: Sequence[str]) -> None:
    """Log which requested stems a song does not have."""
    absent = [stem for stem in requested if not found.get(stem, True)]
    if absent:
        logger.info("%s: %s: not found in this song", label, ", ".join(absent))


def _check_options(
    method: SeparationMethod,
    quality: Quality,
    report: Path | None,
    labels: Path | None,
    inputs: Inputs,
) -> None:
    """Raise UsageError for incompatible options."""
    if method is not SeparationMethod.mask:
        if quality is not Quality.normal:
            raise UsageError(f"--quality applies to masks only: remove --method {method.value}")
        if report is not None or labels is not None:
            name = "--labels" if report is None else "--report"
            raise UsageError(f"{name} needs the masks' activity: remove --method {method.value}")
    if labels is not None and inputs.several:
        raise UsageError("--labels takes one song: use --report for several")
