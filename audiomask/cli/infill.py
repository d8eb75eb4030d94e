"""``audiomask infill``: fill gaps in recordings."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.extend import ExtendOptions, extend_files, show_extensions
from audiomask.cli.fill_job import fill_gaps, output_ending
from audiomask.cli.fill_plan import FillPlan, show_gaps
from audiomask.cli.gaps import FaultKind, GapOptions
from audiomask.cli.inputs import collect_inputs, output_folder
from audiomask.cli.job_report import check_report
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, plan_files
from audiomask.cli.page_file import check_page, with_page
from audiomask.cli.page_index import PageIndex
from audiomask.cli.sample_format import (
    Bitrate,
    bits_a_second,
)
from audiomask.errors import UsageError
from audiomask.infill.gaps import MAX_GAP, MIN_GAP
from audiomask.infill.settings import InfillMethod, InfillSettings, usual_temperature

if TYPE_CHECKING:
    pass

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
    after: Annotated[
        float | None,
        typer.Option("--after", metavar="SECONDS", help="Continue the recording past its end."),
    ] = None,
    before: Annotated[
        float | None,
        typer.Option("--before", metavar="SECONDS", help="Lead into the recording's beginning."),
    ] = None,
    loop: Annotated[
        bool,
        typer.Option(
            "--loop",
            help="Make the end run into the beginning: by its last 20 ms, or with --after by a "
            "bridge that is added.",
        ),
    ] = False,
    detect: Annotated[
        bool, typer.Option("--detect", help="Find damage (default when no gap is given).")
    ] = False,
    detect_kind: Annotated[
        list[FaultKind] | None,
        typer.Option(
            "--detect-kind",
            metavar="KIND",
            help="Find silence, stuck, nan, dropout, click, clipped or all "
            "(default: all but click and clipped), or surprise, which a raw-audio model finds; "
            "repeatable.",
        ),
    ] = None,
    wave: Annotated[
        Path | None,
        typer.Option(
            "--wave",
            metavar="DIR",
            help="Raw-audio model for --detect-kind surprise and --method wave (default: that of "
            "--model).",
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
            help="Tokens, autoregression, a passage of the recording, a spectrogram model's "
            "magnitudes, a raw-audio model's samples, or what suits the gap; with --after: lm, a "
            "language model.",
        ),
    ] = InfillMethod.auto,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Rounds in which tokens are drawn.")
    ] = _USUAL.steps,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="T",
            min=0.0,
            help="Of drawing tokens; 0 draws none: what is to be expected, nearest to the truth "
            "(default: 0; with --method lm and wave 1).",
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            metavar="P",
            help="With --method lm: draw from the likeliest tokens of this probability together "
            f"(default: {_USUAL.top_p:g}).",
        ),
    ] = None,
    candidates: Annotated[
        int,
        typer.Option(
            "--candidates",
            metavar="N",
            min=1,
            help="Fillings drawn to choose from, by a spectrogram and a raw-audio model if there "
            "are any; of passages, how many --report offers.",
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
    by_stem: Annotated[
        bool,
        typer.Option(
            "--by-stem",
            help="Where nothing matches, separate the surroundings and fill each stem by itself.",
        ),
    ] = _USUAL.by_stem,
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
    --after, --before and --loop extend recordings instead, which stay as they are.
    """
    extend = ExtendOptions(before, after, loop)
    if extend.given:
        named = {
            "--gap": gap,
            "--gaps": gaps,
            "--middle": middle,
            "--channel": channel,
            "--detect": detect,
            "--detect-kind": detect_kind,
            "--labels": labels,
            "--wave": wave if method != InfillMethod.wave else None,
            "--by-stem": by_stem,
            "--page": common.page,
        }
        extend.check(name for name, value in named.items() if value)
    if method == InfillMethod.lm:
        extend.check_continued()
    check_page(common.page, output)
    if common.page and dry_run:
        raise UsageError("--page plays what was filled: remove --dry-run")
    options = GapOptions(
        gap or (), gaps, middle, detect, detect_kind or (), min_gap, max_gap, channel or ()
    )
    if top_p is not None and method != InfillMethod.lm:
        raise UsageError("--top-p is about --method lm: add it")
    settings = InfillSettings(
        method.value,
        steps,
        usual_temperature(method) if temperature is None else temperature,
        candidates,
        choice,
        seed,
        by_stem,
        _USUAL.top_p if top_p is None else top_p,
    )
    if method == InfillMethod.wave and wave is not None:
        common = replace(common, model=wave)
    found = collect_inputs(inputs, _is_unfilled, output_folder(output))
    plan = FillPlan(options, settings, other, wave)
    plan.check(found.items)
    if dry_run and extend.given:
        return show_extensions([Job(item) for item in found.items], common, plan, extend, report)
    if dry_run:
        return show_gaps([Job(item) for item in found.items], common, plan, report, labels)
    if labels is not None:
        raise UsageError("--labels tells where gaps are: add --dry-run")
    jobs = plan_files(found, output, _filled_name)
    if common.page:
        jobs = [with_page(job) for job in jobs]
    check_outputs(jobs, common)
    check_report(report, jobs, common)
    rate = bits_a_second(bitrate, {output_ending(job.output) for job in jobs})
    if extend.given:
        return extend_files(jobs, common, plan, extend, report, rate)
    index = PageIndex("infill", found, output, jobs, common)
    status = fill_gaps(jobs, common, plan, report, rate)
    index.write()
    return status


def _is_unfilled(path: Path) -> bool:
    """Whether a file is audio, and no result of an earlier run in the same folder."""
    return is_audio(path) and not path.stem.lower().endswith(".infilled")


def _filled_name(path: Path) -> Path:
    suffix = path.suffix if path.suffix.lower() in _LOSSLESS_SUFFIXES else ".wav"
    return path.with_name(f"{path.stem}.infilled{suffix}")
