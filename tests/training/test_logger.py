"""Report: the log, its truncation, the bar and the summary."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

from audiomask.errors import DataError
from audiomask.training import logger as module
from audiomask.training.logger import TimeLeft, TrainLogger, truncate_log
from audiomask.training.state import TrainState


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is shown."""
    shown = io.StringIO()

    def console(**options: bool) -> Console:
        return Console(file=shown, width=120, quiet=options.get("quiet", False))

    monkeypatch.setattr(module, "Console", console)
    monkeypatch.setattr(module, "is_live", lambda: True)
    return shown


def tell(out: Path, quiet: bool = False) -> None:
    place = TrainState()
    with TrainLogger(out, 8, place, quiet) as logger:
        for step in range(1, 5):
            place.step, place.seconds = step, 1.5 * step
            logger.advance(step)
            logger.step(place, {"loss": 4.0 / step, "gradient": 0.5}, speed=123.456)
        place.best, place.best_step = 0.75, 4
        logger.validated(place, {"loss": 0.75, "mel": 0.5})
        logger.print("a line")
    logger.summary(place, "out of time; --resume goes on")


def test_all_numbers_are_in_the_log(tmp_path: Path, screen: io.StringIO) -> None:
    tell(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[1] == {"step": 2, "seconds": 3.0, "loss": 2.0, "gradient": 0.5, "speed": 123.5}
    expected = {"step": 4, "seconds": 6.0, "validation_loss": 0.75, "validation_mel": 0.5}
    assert lines[4] == expected


def test_the_screen_tells_how_it_went(tmp_path: Path, screen: io.StringIO) -> None:
    tell(tmp_path)
    shown = screen.getvalue()
    assert "4/8" in shown
    assert "loss 1.000, 123 s/s" in shown
    assert "step 4: validation loss 0.7500, the best so far" in shown
    assert "step 4 of 8: out of time; --resume goes on" in shown
    # a long path is broken where the column ends
    best = f"{tmp_path / 'best'}: validation loss 0.7500, step 4"
    assert "".join(best.split()) in "".join(shown.split())
    tell(tmp_path / "quiet", quiet=True)
    assert screen.getvalue() == shown


def test_lines_are_told_where_no_bar_is_shown(
    tmp_path: Path, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_live", lambda: False)
    now = iter([0.0, 30.0, 60.0, 60.0, 61.0, 200.0, 200.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(now)))
    tell(tmp_path)
    told = [line for line in screen.getvalue().splitlines() if "s/s" in line]
    assert told == [
        "step 2 of 8: loss 2.000, 123 s/s",
        "step 4 of 8: loss 1.000, 123 s/s",
    ]
    assert "4/8" not in screen.getvalue()


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        TrainLogger(tmp_path / "file" / "run", 1, TrainState(), quiet=True)


def test_later_steps_are_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    truncate_log(log, 3)
    assert not log.exists()
    lines = [json.dumps({"step": step, "loss": 1}) for step in range(1, 7)]
    log.write_text("\n".join([*lines, '{"step": 2, "lo', "[]"]))
    truncate_log(log, 3)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("seconds", "completed", "shown"),
    [(40.0, 0, "0:00:40"), (40.0, 2, "0:00:30"), (None, 0, "-:--:--"), (9000.0, 2, "2:29:50")],
)
def test_the_time_left_is_that_of_the_limit(
    seconds: float | None, completed: int, shown: str
) -> None:
    now = [0.0]
    bar = Progress(get_time=lambda: now[0])
    line = bar.add_task("training", total=100_000)
    for step in range(completed):
        now[0] += 5
        bar.update(line, completed=step + 1)
    assert TimeLeft(seconds).render(bar.tasks[0]).plain == shown


def test_steps_that_end_first_are_the_time_left() -> None:
    now = [0.0]
    bar = Progress(get_time=lambda: now[0])
    line = bar.add_task("training", total=6)
    for step in range(3):
        now[0] += 5
        bar.update(line, completed=step + 1)
    assert TimeLeft(40.0).render(bar.tasks[0]).plain == "0:00:15"
