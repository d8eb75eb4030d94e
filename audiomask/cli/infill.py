"""``audiomask infill``: fill gaps in recordings."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.console import Meter
from audiomask.cli.fill_plan import FillPlan, show_gaps
from audiomask.cli.gap_report import GapReport
from audiomask.cli.gaps import MAX_GAP, MIN_GAP, FaultKind, FoundGap, GapOptions, GapTable
from audiomask.cli.inputs import Location, collect_inputs, output_folder
from audiomask.cli.job_report import check_report
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.sample_format import (
    Bitrate,
    bits_a_second,
    report_clipping,
    report_input,
    report_lost,
)
from audiomask.errors import UsageError
from audiomask.infill.settings import InfillMethod, InfillSettings

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.gaps import Gap
    from audiomask.infill.infiller import Filling

logger = logging.getLogger(__name__)

#: files of these lossless formats are written in the same format, all others as WAV
_LOSSLESS_SUFFIXES = (".wav", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".au", ".caf")
_USUAL = InfillSettings()


def infill(
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
    gap: Annotated[
        list[str] | None,
        typer.Option(
            "--gap",
            metavar="START:END",
            help="A gap in seconds, or START-END, where times may be m:s or h:m:s; repeatable.",
        ),
    ] = None,
    gaps: Annotated[
        Path | None,
        typer.Option("--gaps", metavar="FILE", help="Audacity label track or CSV of gaps."),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="Fill (and look) in left, right or channel 1, 2 … only; repeatable.",
        ),
    ] = None,
    middle: Annotated[
        float | None,
        typer.Option("--middle", metavar="SECONDS", help="Replace the middle of the recording."),
    ] = None,
    detect: Annotated[
        bool, typer.Option("--detect", help="Find damage (default when no gap is given).")
    ] = False,
    detect_kind: Annotated[
        list[FaultKind] | None,
        typer.Option(
            "--detect-kind",
            metavar="KIND",
            help="Find silence, stuck, nan, dropout, click, clipped or all "
            "(default: all but click and clipped); repeatable.",
        ),
    ] = None,
    min_gap: Annotated[
        float,
        typer.Option(
            "--min-gap",
            metavar="SECONDS",
            min=0.0,
            help="Shortest silence, stuck run or dropout to find.",
        ),
    ] = MIN_GAP,
    max_gap: Annotated[
        float,
        typer.Option(
            "--max-gap",
            metavar="SECONDS",
            min=0.0,
            help="Longest silence, stuck run or dropout to fill; a longer one is left alone.",
        ),
    ] = MAX_GAP,
    method: Annotated[
        InfillMethod,
        typer.Option(
            "--method",
            help="Tokens, autoregression, a passage of the recording, or what suits the gap.",
        ),
    ] = InfillMethod.auto,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Rounds in which tokens are drawn.")
    ] = _USUAL.steps,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            metavar="T",
            min=0.0,
            help="Of drawing tokens; 0 draws none: what is to be expected, nearest to the truth.",
        ),
    ] = _USUAL.temperature,
    candidates: Annotated[
        int,
        typer.Option(
            "--candidates",
            metavar="N",
            min=1,
            help="Fillings drawn to choose from; of passages, how many --report offers.",
        ),
    ] = _USUAL.candidates,
    choice: Annotated[
        int,
        typer.Option("--choice", metavar="K", min=1, help="Take the K-th best passage."),
    ] = _USUAL.choice,
    other: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Another recording to take passages from: another take."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0)] = _USUAL.seed,
    bitrate: Bitrate = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Tell every gap and failure as JSON lines."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FILE", help="With --dry-run: write the gaps as a label track."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only show the gaps and how they would be filled, on stderr."
        ),
    ] = False,
) -> int:
    """Fill gaps in recordings.

    song.wav becomes song.infilled.wav. Outside the gaps and a crossfade of at most 20 ms
    every sample stays as it is, and so does every channel that a gap is not in. Rests are left
    alone: silence that the sound fades into or out of, or that lasts longer than --max-gap.
    """
    options = GapOptions(
        gap or (), gaps, middle, detect, detect_kind or (), min_gap, max_gap, channel or ()
    )
    settings = InfillSettings(method.value, steps, temperature, candidates, choice, seed)
    found = collect_inputs(inputs, _is_unfilled, output_folder(output))
    plan = FillPlan(options, settings, other)
    plan.check(found.items)
    if dry_run:
        return show_gaps([Job(item) for item in found.items], common, plan, report, labels)
    if labels is not None:
        raise UsageError("--labels tells where gaps are: add --dry-run")
    jobs = plan_files(found, output, _filled_name)
    check_outputs(jobs, common)
    check_report(report, jobs, common)
    rate = bits_a_second(bitrate, {_ending(job.output) for job in jobs})
    return _fill_gaps(jobs, common, plan, report, rate)


def _fill_gaps(
    jobs: Sequence[Job], common: Common, plan: FillPlan, report: Path | None, bitrate: int | None
) -> int:
    from audiomask.audio.copying import copy_file, is_same_format
    from audiomask.audio.files import AudioFile
    from audiomask.audio.formats import default_subtype
    from audiomask.audio.metadata.reading import read_metadata
    from audiomask.audio.writer import AudioWriter
    from audiomask.infill.splice import copy_with_patches

    engine = common.open_engine()
    table = GapTable([job.input.label for job in jobs], str(plan.other))

    def work(job: Job, meter: Meter) -> None:
        label = job.input.label
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source, meter.check))
            rate = source.sample_rate
            report_input(source)
            meter.start(label, source.frames / rate)
            found = plan.options.find(source)
            gaps = {one.gap: one for one in found if not one.left}
            known = [one for one in found if one.left]
            if not gaps:
                copied = is_same_format(source, _ending(job.output))
                way = "copied as it is" if copied else "only converted"
                meter.note(f"{label}: no gaps found, {way}")
                if copied:
                    lines.add(job, source, known)
                    copy_file(source, job.output, common.overwrite)
                    meter.advance(source.frames / rate)
                    table.add(label, source, known)
                    return
            metadata = read_metadata(source)
            with AudioWriter(
                job.output,
                rate,
                source.channels,
                default_subtype(source.subtype, _ending(job.output)),
                overwrite=common.overwrite,
                frames=source.frames,
                metadata=metadata,
                bitrate=bitrate,
            ) as writer:
                done = 0
                other = plan.open_other(stack, meter)
                fillings = engine.infill(source, list(gaps), plan.settings, other)
                patches = _log_fillings(fillings, gaps, source, label, known)
                for position in copy_with_patches(source, patches, writer):
                    meter.advance((position - done) / rate)
                    done = position
                lines.add(job, source, known)
            table.add(label, source, known)
        report_lost(label, metadata.lost)
        report_lost(job.output, writer.lost)
        report_clipping(job.output, writer.clipped)

    with GapReport(report, jobs, common) as lines:
        lines.other = str(plan.other)
        status = run_jobs(jobs, common, work, lines.failed)
    if common.verbose:
        table.show()
    return status


def _log_fillings(
    fillings: "Iterator[Filling]",
    gaps: "Mapping[Gap, FoundGap]",
    source: "AudioFile",
    label: str,
    known: list[FoundGap],
) -> "Iterator[Filling]":
    """Yield the fillings; add the gap and method of each to ``known``, without its samples."""
    rate = source.sample_rate
    for filling in fillings:
        gap = filling.gap
        if filling.passes > 1:
            logger.info(
                "%s: the gap from %.3f to %.3f s is too long to be filled at once: %d passes",
                label,
                gap.start / rate,
                gap.stop / rate,
                filling.passes,
            )
        yield filling
        told = gaps[gap]._replace(
            method=filling.method,
            filled=True,
            passage=filling.passage,
            passages=filling.passages,
            level=filling.level,
        )
        known.append(told)


def _is_unfilled(path: Path) -> bool:
    """Whether a file is audio, and no result of an earlier run in the same folder."""
    return is_audio(path) and not path.stem.lower().endswith(".infilled")


def _ending(place: Location) -> str:
    """The format of an output by its name; WAV for standard output and devices."""
    return "wav" if place == "-" else place.suffix[1:] or "wav"


def _filled_name(path: Path) -> Path:
    suffix = path.suffix if path.suffix.lower() in _LOSSLESS_SUFFIXES else ".wav"
    return path.with_name(f"{path.stem}.infilled{suffix}")
