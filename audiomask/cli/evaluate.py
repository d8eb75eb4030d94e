"""``audiomask evaluate``: measure a checkpoint on data that it was not trained on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from audiomask.cli.console import Meter
from audiomask.cli.inputs import Input
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common, takes
from audiomask.cli.outputs import Job as Task
from audiomask.errors import UsageError
from audiomask.evaluation.options import EvaluateOptions, jobs


@takes(EvaluateOptions)
def evaluate(
    common: Common,
    asked: dict[str, Any],
    job: Annotated[str, typer.Argument(metavar="|".join(jobs()), help="What to measure.")],
    json: Annotated[
        bool, typer.Option("--json", help="Everything measured as JSON, not as tables.")
    ] = False,
) -> int:
    """Measure a checkpoint on data that it was not trained on.

    --data takes every layout that 'audiomask train' takes; from single notes bands are arranged.
    Baselines stand beside every figure. Tables, or with --json one object, go to stdout.
    """
    if job not in jobs():
        raise UsageError(f"no '{job}' to measure (there are: {', '.join(jobs())})")
    options = EvaluateOptions(job, **asked, quiet=common.quiet)
    options.check()

    from audiomask.evaluation.report import as_json
    from audiomask.evaluation.run import Evaluation

    evaluation = Evaluation(options, common.open_engine())
    songs = {song.place: song for song in evaluation.refs}

    def work(task: Task, meter: Meter) -> None:
        song = songs[Path(task.input.source)]
        meter.start(song.name, song.seconds)
        reason = evaluation.measure(song)
        if reason is not None:
            meter.note(f"{song.name}: left out: {reason}")
        meter.advance(song.seconds)

    tasks = [Task(Input(place, Path(song.name))) for place, song in songs.items()]
    status = run_jobs(tasks, common, work)
    report = evaluation.report()
    if json:
        typer.echo(as_json(report.data))
    else:
        report.show()
    return status
