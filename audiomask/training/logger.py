"""The log of a run: on the terminal, in ``log.jsonl`` and in TensorBoard."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from torch import Tensor

from audiomask.audio.atomic import AtomicFile
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.errors import DataError, why
from audiomask.runtime import distributed
from audiomask.runtime.console import is_live
from audiomask.runtime.dependencies import optional
from audiomask.training.state import TrainState

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_LOG_FILE = "log.jsonl"
#: seconds between lines where no bar can be shown
_TOLD_SECONDS = 60.0


class _Screen:
    """Standard error, without errors when nobody reads it any more.

    A run continues when its terminal is closed while it is in the background (``disown``), before
    SIGHUP arrives, or when a ``tee`` it writes to ends.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        """Write a text, if it is still read."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if it is still read."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class TimeLeft(TimeRemainingColumn):
    """The time left until all steps are done or the time limit, whichever is less.

    Args:
        seconds: until the time limit, if there is one.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self._seconds = seconds

    def render(self, task: Task) -> Text:
        """The time left as hours, minutes and seconds."""
        left = [] if task.time_remaining is None else [task.time_remaining]
        if self._seconds is not None:
            left.append(max(0.0, self._seconds - (task.elapsed or 0.0)))
        if not left:
            return Text("-:--:--", style="progress.remaining")
        minutes, seconds = divmod(math.ceil(min(left)), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02d}:{seconds:02d}", style="progress.remaining")


class TrainLogger:
    """Logs a run; of several processes only rank 0 does. A context manager.

    Args:
        out: the run's folder.
        steps: of the run in all.
        state: where the run begins or is resumed. Lines of the log about later steps, which a kill
            has undone, are removed.
        quiet: print nothing.
        tensorboard: write TensorBoard's files as well, into ``out/tensorboard``.
        seconds: until the time limit of this call, if there is one.
        sample_rate: of the audio logged.

    Raises:
        DependencyError: TensorBoard is asked for but not installed.
        DataError: the log cannot be written.
    """

    def __init__(
        self,
        out: Path,
        steps: int,
        state: TrainState,
        quiet: bool = False,
        tensorboard: bool = False,
        seconds: float | None = None,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
    ) -> None:
        self.sample_rate = sample_rate
        self.out, self.steps, self.first = out, steps, state.step
        self._speaks = distributed.rank() == 0
        self.console = Console(file=cast(IO[str], _Screen()), quiet=quiet or not self._speaks)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeLeft(seconds),
            console=self.console,
            disable=quiet or not self._speaks or not is_live(),
        )
        self._told = time.monotonic()
        self.losses: list[float] = []
        self.speed = 0.0
        self.writer: SummaryWriter | None = None
        if not self._speaks:
            return
        try:
            out.mkdir(parents=True, exist_ok=True)
            truncate_log(out / _LOG_FILE, state.step)
            self.log = (out / _LOG_FILE).open("a", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{out}: cannot be written ({why(error)})") from error
        if tensorboard:
            tensorboard_writer = optional("torch.utils.tensorboard", "tensorboard", "--tensorboard")
            self.writer = tensorboard_writer.SummaryWriter(
                str(out / "tensorboard"), purge_step=state.step
            )

    def __enter__(self) -> Self:
        self._bar.start()
        self.line = self._bar.add_task(
            "training", total=self.steps, completed=self.first, status=""
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._speaks:
            # a failed write has raised already
            with suppress(OSError):
                self.log.close()
        if self.writer is not None:
            self.writer.close()

    def advance(self, step: int) -> None:
        """Advance the progress bar to a step."""
        self._bar.update(self.line, completed=step)

    def step(self, state: TrainState, numbers: Mapping[str, float], speed: float) -> None:
        """Log the numbers of a step.

        Args:
            state: of the run after the step.
            numbers: the loss and others, by name.
            speed: seconds of audio a second, of all processes.
        """
        self.losses.append(numbers["loss"])
        self.speed = speed
        status = f"loss {numbers['loss']:.3f}, {speed:,.0f} s/s"
        self._bar.update(self.line, status=status)
        if self._bar.disable and time.monotonic() - self._told >= _TOLD_SECONDS:
            self.print(f"step {state.step:,} of {self.steps:,}: {status}")
            self._told = time.monotonic()
        self.write(state, dict(numbers) | {"speed": round(speed, 1)}, "train")

    def validated(self, state: TrainState, numbers: Mapping[str, float]) -> None:
        """Log the numbers of a validation."""
        self._bar.console.print(
            f"step {state.step:,}: validation loss {numbers['loss']:.4f}"
            + (", the best so far" if state.best_step == state.step else "")
        )
        self.write(state, {f"validation_{name}": value for name, value in numbers.items()}, "")

    def write(self, state: TrainState, numbers: Mapping[str, float], kind: str) -> None:
        """Write a line of the log, and the same numbers for TensorBoard.

        Raises:
            DataError: the log cannot be written.
        """
        if not self._speaks:
            return
        entry: dict[str, Any] = {"step": state.step, "seconds": round(state.seconds, 1)}
        try:
            self.log.write(json.dumps(entry | dict(numbers)) + "\n")
            self.log.flush()
        except OSError as error:
            reason = f"cannot be written ({why(error)})"
            raise DataError(f"{self.out / _LOG_FILE}: {reason}; --resume goes on") from error
        if self.writer is not None:
            for name, value in numbers.items():
                tag = f"{kind}/{name}" if kind else name.replace("_", "/", 1)
                self.writer.add_scalar(tag, value, state.step)

    def log_audio(self, state: TrainState, sounds: Mapping[str, Tensor]) -> None:
        """Log audio [T] by name to TensorBoard, as sound and as spectrograms."""
        if self.writer is None:
            return
        from audiomask.training.spectrogram import spectrogram_image  # and with it matplotlib

        for name, audio in sounds.items():
            audio = audio.detach().float().cpu()
            self.writer.add_audio(name, audio.clamp(-1, 1)[None], state.step, self.sample_rate)
            picture = spectrogram_image(audio, self.sample_rate, 480, 160)
            self.writer.add_image(name, picture, state.step, dataformats="HWC")

    def print(self, text: str) -> None:
        """Print a line on the terminal."""
        self._bar.console.print(text, highlight=False)

    def summary(self, state: TrainState, why: str) -> None:
        """Print how the run ended."""
        table = Table(box=None, show_header=False, pad_edge=False)
        tail = self.losses[-5:]
        rows = [
            ("ended", f"step {state.step:,} of {self.steps:,}: {why}"),
            ("time", f"{state.seconds / 3600:.2f} h in all, {self.speed:,.0f} s of audio a second"),
            ("loss", f"{sum(tail) / len(tail):.4f}" if tail else "not measured"),
            ("checkpoint", str(self.out)),
        ]
        if state.best is not None:
            best = (
                f"{self.out / 'best'}: validation loss {state.best:.4f}, step {state.best_step:,}"
            )
            rows.append(("best", best))
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


def truncate_log(log: Path, step: int) -> None:
    """Remove the lines about steps after ``step`` from a log, and a line that a kill cut short.

    Raises:
        OSError: it cannot be read or written.
    """
    if not log.is_file():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    with AtomicFile(log, overwrite=True) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
