"""``audiomask infill``: fill gaps in recordings."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.gap_report import GapReport, check_report
from audiomask.cli.gaps import MIN_GAP, FilledGap, GapChoice, GapTable, Kind
from audiomask.cli.inputs import Location, collect_inputs, output_folder
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.progress import Meter
from audiomask.cli.report import run_jobs
from audiomask.cli.writing import (
    Bitrate,
    bits_a_second,
    report_clipping,
    report_input,
    report_lost,
)
from audiomask.errors import UsageError
from audiomask.inference.settings import AR, AUTO, TOKENS, InfillSettings

if TYPE_CHECKING:
    from audiomask.cli.groups import Recording
    from audiomask.inference.infill import Filling

logger = logging.getLogger(__name__)

# Formats that hold samples exactly keep their own; from others the result is a WAV file.
_LOSSLESS_SUFFIXES = (".wav", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".au", ".caf")
_USUAL = InfillSettings()


class Method(StrEnum):
    """How gaps are filled."""

    auto = AUTO
    tokens = TOKENS
    ar = AR


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
        typer.Option("--gap", metavar="START:END", help="A gap in seconds; repeatable."),
    ] = None,
    gaps: Annotated[
        Path | None,
        typer.Option("--gaps", metavar="FILE", help="Audacity label track or CSV of gaps."),
    ] = None,
    middle: Annotated[
        float | None,
        typer.Option("--middle", metavar="SECONDS", help="Replace the middle of the recording."),
    ] = None,
    detect: Annotated[
        bool, typer.Option("--detect", help="Find damage (default when no gap is given).")
    ] = False,
    detect_kind: Annotated[
        list[Kind] | None,
        typer.Option(
            "--detect-kind",
            metavar="KIND",
            help="Find silence, stuck, nan, clipped or all (default: all but clipped); repeatable.",
        ),
    ] = None,
    min_gap: Annotated[
        float,
        typer.Option(
            "--min-gap", metavar="SECONDS", min=0.0, help="Shortest silence or stuck run to find."
        ),
    ] = MIN_GAP,
    method: Annotated[
        Method,
        typer.Option("--method", help="Tokens, autoregression, or what suits a gap's length."),
    ] = Method.auto,
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
        int, typer.Option("--candidates", metavar="N", min=1, help="Fillings drawn to choose from.")
    ] = _USUAL.candidates,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0)] = _USUAL.seed,
    bitrate: Bitrate = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Tell every gap and failure as JSON lines."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the gaps, in a table on stderr.")
    ] = False,
) -> int:
    """Fill gaps in recordings.

    song.wav becomes song.infilled.wav. Outside the gaps and a crossfade of at most 20 ms
    every sample stays as it is.
    """
    choice = GapChoice(gap or (), gaps, middle, detect, detect_kind or (), min_gap)
    found = collect_inputs(inputs, _is_unfilled, output_folder(output))
    if dry_run:
        if report is not None:
            raise UsageError("--dry-run writes nothing: it excludes --report")
        return _show_gaps([Job(item) for item in found.items], common, choice)
    if candidates > 1 and temperature == 0:
        raise UsageError("--candidates chooses from drawn fillings: add a --temperature above 0")
    settings = InfillSettings(method.value, steps, temperature, candidates, seed)
    jobs = plan_files(found, output, _filled_name)
    check_outputs(jobs, common)
    check_report(report, jobs, common)
    rate = bits_a_second(bitrate, {_ending(job.output) for job in jobs})
    return _fill_gaps(jobs, common, choice, settings, report, rate)


def _fill_gaps(
    jobs: Sequence[Job],
    common: Common,
    choice: GapChoice,
    settings: InfillSettings,
    report: Path | None,
    bitrate: int | None,
) -> int:
    from audiomask.audio.copying import copy_file, is_same_format
    from audiomask.audio.formats import default_subtype
    from audiomask.audio.metadata.reading import read_metadata
    from audiomask.audio.splice import copy_with_patches
    from audiomask.audio.writer import AudioWriter
    from audiomask.cli.groups import Groups

    engine = common.open_engine()
    if engine.infill_group > 1 and common.jobs > 1:
        logger.info("--jobs is left aside: this device fills gaps of several files together")
        common = replace(common, jobs=1)
    table = GapTable(filled=True, labels=[job.input.label for job in jobs])

    def work(job: Job, meter: Meter) -> None:
        label = job.input.label
        with groups.recording(job.input, meter) as recording:
            source, rate = recording.source, recording.source.sample_rate
            report_input(source)
            meter.start(label, source.frames / rate)
            if not recording.gaps:
                copied = is_same_format(source, _ending(job.output))
                way = "copied as it is" if copied else "only converted"
                meter.note(f"{label}: no gaps found, {way}")
                if copied:
                    copy_file(source, job.output, common.overwrite)
                    meter.advance(source.frames / rate)
                    lines.filled(job, [], rate)
                    table.add_none(label)
                    return
            seen: list[FilledGap] = []
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
                patches = _watched(recording, label, seen)
                for position in copy_with_patches(source, patches, writer):
                    meter.advance((position - done) / rate)
                    done = position
                lines.filled(job, seen, rate)
        report_lost(label, metadata.lost)
        report_lost(job.output, writer.lost)
        report_clipping(job.output, writer.clipped)
        for filled in seen:
            table.add(label, rate, *filled)
        if not seen:
            table.add_none(label)

    with (
        GapReport(report, jobs, common) as lines,
        Groups(jobs, engine, choice, settings) as groups,
    ):
        status = run_jobs(jobs, common, work, lines.failed)
    if common.verbose:
        table.show()
    return status


def _show_gaps(jobs: Sequence[Job], common: Common, choice: GapChoice) -> int:
    from audiomask.audio.files import AudioFile

    table = GapTable(filled=False, labels=[job.input.label for job in jobs])

    def work(job: Job, meter: Meter) -> None:
        with AudioFile(job.input.source) as source:
            rate = source.sample_rate
            report_input(source)
            meter.start(job.input.label, source.frames / rate)
            gaps = choice.find(source)
            meter.advance(source.frames / rate)
        for gap, kind in gaps.items():
            table.add(job.input.label, rate, gap, kind)
        if not gaps:
            table.add_none(job.input.label)

    status = run_jobs(jobs, common, work)
    table.show()
    return status


def _watched(recording: "Recording", label: str, seen: list[FilledGap]) -> "Iterator[Filling]":
    """The fillings, passed on; what each filled is noted in ``seen``, and its sound not held."""
    rate = recording.source.sample_rate
    for filling in recording.fillings:
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
        seen.append(FilledGap(gap, recording.gaps[gap], filling.method))


def _is_unfilled(path: Path) -> bool:
    """Audio that is no result of an earlier run in the same folder."""
    return is_audio(path) and not path.stem.lower().endswith(".infilled")


def _ending(place: Location) -> str:
    """The format that an output's name asks for; standard output and devices take WAV."""
    return "wav" if place == "-" else place.suffix[1:] or "wav"


def _filled_name(path: Path) -> Path:
    suffix = path.suffix if path.suffix.lower() in _LOSSLESS_SUFFIXES else ".wav"
    return path.with_name(f"{path.stem}.infilled{suffix}")
