"""``audiomask evaluate``: measure a checkpoint on data that it was not trained on."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from audiomask.cli.console import Meter
from audiomask.cli.inputs import Input
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job as Task
from audiomask.cli.report import run_jobs
from audiomask.evaluation.options import EvaluateOptions, Job, Split


def _option(
    panel: str, name: str, help: str, metavar: str | None = None, least: float | None = None
) -> Any:
    """An option in a panel of the help."""
    return typer.Option(name, help=help, metavar=metavar, min=least, rich_help_panel=panel)


_data = partial(_option, "What to measure on")
_vqvae = partial(_option, "vqvae")
_mlm = partial(_option, "mlm")
_infill = partial(_option, "infill")
_either = partial(_option, "infill and separate")


def evaluate(
    common: Common,
    job: Annotated[
        Job, typer.Argument(metavar="vqvae|mlm|infill|separate", help="What to measure.")
    ],
    data: Annotated[list[Path], _data("--data", "Folder of data; repeatable.", "DIR")],
    split: Annotated[
        Split, _data("--split", "Songs of this split only.", "test|validation|train|all")
    ] = Split.test,
    limit: Annotated[int | None, _data("--limit", "At most so many songs.", "N", 1)] = None,
    seconds: Annotated[
        float | None, _data("--seconds", "Only the middle of every song.", "S")
    ] = None,
    mono: Annotated[bool, _data("--mono", "Mix every song down to one channel first.")] = False,
    seed: Annotated[int, _data("--seed", "Decides gaps, maskings and bands.", "N", 0)] = 0,
    cache: Annotated[
        Path | None, _data("--cache", "Keep decoded notes and SoundFonts here.", "DIR")
    ] = None,
    levels: Annotated[int | None, _vqvae("--levels", "Measure 1 to N levels.", "N", 1)] = None,
    opinion: Annotated[
        bool,
        _vqvae("--opinion", "Also predict listeners' opinions: ViSQOL and Zimtohrli (slow)."),
    ] = False,
    fit: Annotated[
        list[Path] | None,
        _mlm("--fit", "Count unigram and bigram on this folder of data; repeatable.", "DIR"),
    ] = None,
    rounds: Annotated[int | None, _mlm("--rounds", "Maskings of every window (4).", "N", 1)] = None,
    gap_length: Annotated[
        list[float] | None,
        _infill("--gap-length", "In milliseconds (20, 50, 100, 250, 500, 1000); repeatable.", "MS"),
    ] = None,
    gaps_per_file: Annotated[
        int | None, _infill("--gaps-per-file", "Gaps of each length in a song (2).", "N", 1)
    ] = None,
    steps: Annotated[int | None, _infill("--steps", "As of 'audiomask infill'.", "N", 1)] = None,
    temperature: Annotated[
        float | None, _infill("--temperature", "As of 'audiomask infill'.", "T", 0)
    ] = None,
    candidates: Annotated[
        int | None, _infill("--candidates", "As of 'audiomask infill'.", "N", 1)
    ] = None,
    method: Annotated[
        str | None, _either("--method", "As of 'audiomask infill' and 'separate'.", "NAME")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Everything measured as JSON, not as tables.")
    ] = False,
) -> int:
    """Measure a checkpoint on data that it was not trained on.

    --data takes every layout that 'audiomask train' takes; from single notes bands are arranged.
    Baselines stand beside every figure. Tables, or with --json one object, go to stdout.
    """
    options = EvaluateOptions(
        job=job,
        data=tuple(data),
        split=split,
        limit=limit,
        seconds=seconds,
        mono=mono,
        seed=seed,
        cache=cache,
        levels=levels,
        opinion=opinion,
        fit=tuple(fit or ()),
        rounds=rounds,
        gap_length=tuple(gap_length or ()),
        gaps_per_file=gaps_per_file,
        method=method,
        steps=steps,
        temperature=temperature,
        candidates=candidates,
        quiet=common.quiet,
    )
    options.check()

    from audiomask.evaluation.report import as_json
    from audiomask.evaluation.run import Evaluation

    evaluation = Evaluation(options, common.open_engine())
    pieces = {piece.place: piece for piece in evaluation.pieces}

    def work(task: Task, meter: Meter) -> None:
        piece = pieces[Path(task.input.source)]
        meter.start(piece.name, piece.seconds)
        reason = evaluation.measure(piece)
        if reason is not None:
            meter.note(f"{piece.name}: left out: {reason}")
        meter.advance(piece.seconds)

    tasks = [Task(Input(place, Path(piece.name))) for place, piece in pieces.items()]
    status = run_jobs(tasks, common, work)
    report = evaluation.report()
    if json:
        typer.echo(as_json(report.data))
    else:
        report.show()
    return status
