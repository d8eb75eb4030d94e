"""``audiomask infill``: fill gaps in recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiomask.cli.inputs import Location, collect_inputs, is_audio
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.report import Meter, print_table, run_jobs
from audiomask.cli.writing import report_clipping
from audiomask.errors import UsageError

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.audio.gaps import Gap

# Formats that hold samples exactly keep their own; from others the result is a WAV file.
_LOSSLESS_SUFFIXES = (".wav", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".au", ".caf")


@dataclass(frozen=True)
class _GapChoice:
    """Where the gaps are, as the options say."""

    spans: Sequence[str]
    file: Path | None
    detect: bool
    min_gap: float
    middle: float | None

    def find(self, source: "AudioFile") -> "list[Gap]":
        """The gaps of one recording, sorted, none overlapping."""
        from audiomask.audio.gaps import (
            detect_gaps,
            merge_gaps,
            middle_gap,
            parse_gap,
            read_gap_file,
        )

        rate, frames = source.sample_rate, source.frames
        gaps = [parse_gap(span, rate, frames) for span in self.spans]
        if self.file is not None:
            gaps += read_gap_file(self.file, rate, frames)
        if self.middle is not None:
            gaps.append(middle_gap(self.middle, rate, frames))
        if self.detect or not (self.spans or self.file or self.middle is not None):
            gaps += detect_gaps(source, min_gap=self.min_gap)
        return merge_gaps(gaps)


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
    detect: Annotated[
        bool,
        typer.Option("--detect", help="Find digital silence (default when no gap is given)."),
    ] = False,
    min_gap: Annotated[
        float,
        typer.Option("--min-gap", metavar="SECONDS", min=0.0, help="Shortest gap to detect."),
    ] = 0.01,
    middle: Annotated[
        float | None,
        typer.Option("--middle", metavar="SECONDS", help="Replace the middle of the recording."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Rounds of iterative decoding.")
    ] = 12,
    temperature: Annotated[
        float,
        typer.Option("--temperature", metavar="T", min=0.0, help="0 takes the likeliest tokens."),
    ] = 1.0,
    candidates: Annotated[
        int, typer.Option("--candidates", metavar="N", min=1, help="Fillings to choose from.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0)] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the gaps found, in a table on stderr.")
    ] = False,
) -> int:
    """Fill gaps in recordings.

    song.wav becomes song.infilled.wav. Outside the gaps and a crossfade of at most 20 ms
    every sample stays as it is.
    """
    if middle is not None and middle <= 0:
        raise UsageError("--middle takes a time of more than 0 seconds")
    choice = _GapChoice(gap or (), gaps, detect, min_gap, middle)
    folder = None if output in (None, "-") else Path(str(output))
    found = collect_inputs(inputs, _is_unfilled, folder)
    if dry_run:
        jobs = [Job(item) for item in found.items]
        return _show_gaps(jobs, common, choice)
    jobs = plan_files(found, output, _filled_name)
    check_outputs(jobs, common)

    from audiomask.audio.files import AudioFile
    from audiomask.audio.splice import copy_with_patches
    from audiomask.audio.writer import AudioWriter, default_subtype

    engine = common.open_engine()

    def work(job: Job, meter: Meter) -> None:
        with AudioFile(job.input.source) as source:
            rate = source.sample_rate
            spans = choice.find(source)
            meter.start(job.input.label, source.frames / rate)
            if not spans:
                meter.note(f"{job.input.label}: no gaps found, copied as it is")
            patches = engine.infill(source, spans, steps, temperature, candidates, seed)
            with AudioWriter(
                job.output,
                rate,
                source.channels,
                default_subtype(source.subtype, _ending(job.output)),
                overwrite=common.overwrite,
                frames=source.frames,
            ) as writer:
                done = 0
                for position in copy_with_patches(source, patches, writer):
                    meter.advance((position - done) / rate)
                    done = position
        report_clipping(job.output, writer.clipped)

    return run_jobs(jobs, common, work)


def _show_gaps(jobs: Sequence[Job], common: Common, choice: _GapChoice) -> int:
    from audiomask.audio.files import AudioFile

    rows: list[tuple[str, ...]] = [("file", "start (s)", "end (s)", "length (ms)")]

    def work(job: Job, meter: Meter) -> None:
        with AudioFile(job.input.source) as source:
            rate = source.sample_rate
            meter.start(job.input.label, source.frames / rate)
            spans = choice.find(source)
            meter.advance(source.frames / rate)
        for span in spans:
            start, stop = span.start / rate, span.stop / rate
            length = (span.stop - span.start) * 1000 / rate
            rows.append((job.input.label, f"{start:.6f}", f"{stop:.6f}", f"{length:.3f}"))
        if not spans:
            rows.append((job.input.label, "no gaps", "", ""))

    status = run_jobs(jobs, common, work)
    if len(rows) > 1:
        print_table(rows)
    return status


def _is_unfilled(path: Path) -> bool:
    """Audio that is no result of an earlier run in the same folder."""
    return is_audio(path) and not path.stem.lower().endswith(".infilled")


def _ending(place: Location) -> str:
    """The format that an output's name asks for; standard output takes WAV."""
    return "wav" if place == "-" else place.suffix[1:]


def _filled_name(path: Path) -> Path:
    suffix = path.suffix if path.suffix.lower() in _LOSSLESS_SUFFIXES else ".wav"
    return path.with_name(f"{path.stem}.infilled{suffix}")
