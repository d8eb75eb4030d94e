"""Memory and speed of every subcommand on recordings of a minute to an hour and more.

    python tests/benchmarks/long_files.py --minutes 1 --minutes 10 --minutes 60 --json FILE

The recording is stereo at 44.1 kHz and 16 bits: the song in `examples/`, repeated at random levels
and with channels swapped at random. For infill it has a dropout of 300 ms every 15 seconds. Each
subcommand runs in a process of its own, with the bundled checkpoints. The kernel reports its peak
of resident memory. The time includes start-up, which matters for short recordings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer
from report import note, show

import audiomask
from audiomask.evaluation.report import as_json

SONG = Path(__file__).parents[2] / "examples" / "song.wav"
#: seconds between dropouts and of each
EVERY, DROPOUT = 15.0, 0.3
COMMANDS = ("tokenize", "detokenize", "infill", "separate")
#: the kernel counts memory in KiB
KIB_PER_MIB = 1024.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def write_recording(path: Path, minutes: float, dropouts: bool) -> None:
    """Write a recording of a number of minutes, with or without dropouts, in constant memory."""
    song, rate = soundfile.read(SONG, dtype="float32")
    song = np.roll(song, rate // 7, axis=0)  # no silent start at every seam
    left = round(60 * minutes * rate)
    rng = np.random.default_rng(0)
    every, length, position = round(EVERY * rate), round(DROPOUT * rate), 0
    with soundfile.SoundFile(path, "w", rate, 2, subtype="PCM_16") as file:
        while left > 0:
            piece = rng.uniform(0.3, 1.0) * song[:left, :: rng.choice((-1, 1))]
            if dropouts:
                where = (np.arange(position, position + len(piece)) % every) >= every - length
                piece[where] = 0
            file.write(piece)
            left -= len(piece)
            position += len(piece)


def measured(arguments: Sequence[str]) -> tuple[float, float]:
    """Time in seconds and peak of resident memory in MiB of the installed command.

    Args:
        arguments: of ``audiomask``.

    Raises:
        SystemExit: it fails.
    """
    script = Path(sysconfig.get_path("scripts"), "audiomask")
    began = time.perf_counter()
    run = subprocess.Popen([script, *arguments], stderr=subprocess.PIPE)
    assert run.stderr is not None
    messages = run.stderr.read().decode()
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise SystemExit(f"long_files: error: audiomask {' '.join(arguments)}: {messages}")
    return time.perf_counter() - began, used.ru_maxrss / KIB_PER_MIB


def arguments_of(command: str, folder: Path) -> list[str]:
    """The arguments of a subcommand, in a folder of recordings and earlier results."""
    places = {
        "tokenize": ["whole.wav", "-o", "whole.safetensors"],
        "detokenize": ["whole.safetensors", "-o", "back.wav"],
        "infill": ["holed.wav", "-o", "filled.wav"],
        "separate": ["whole.wav", "-o", "stems"],
    }
    return [command, *(str(folder / p) if p[0] != "-" else p for p in places[command]), "-q"]


@app.command()
def main(
    minutes: Annotated[list[float] | None, typer.Option(help="Lengths.")] = None,
    command: Annotated[list[str] | None, typer.Option(help="Which; default: all.")] = None,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    work: Annotated[Path | None, typer.Option(help="Folder for temporary files.")] = None,
    json: Annotated[Path | None, typer.Option(help="File for all results.")] = None,
) -> None:
    """Measure memory and speed by length."""
    lengths, commands = minutes or [1.0, 10.0, 60.0], command or list(COMMANDS)
    if unknown := set(commands) - set(COMMANDS):
        raise SystemExit(f"long_files: error: no subcommand {', '.join(sorted(unknown))}")
    if "detokenize" in commands and "tokenize" not in commands:
        commands.insert(0, "tokenize")  # makes the tokens
    options = ["--threads", str(threads)] if threads else []
    found: list[dict[str, Any]] = []
    for length in lengths:
        with tempfile.TemporaryDirectory(dir=work) as name:
            folder = Path(name)
            write_recording(folder / "whole.wav", length, False)
            write_recording(folder / "holed.wav", length, True)
            for one in (one for one in COMMANDS if one in commands):
                seconds, memory = measured([*arguments_of(one, folder), *options])
                note(f"{one}, {length:g} min: {seconds:.1f} s, {memory:.0f} MiB")
                found.append(
                    {"command": one, "minutes": length, "seconds": seconds, "mebibytes": memory}
                )
    rows = []
    for one in (one for one in COMMANDS if one in commands):
        of = [entry for entry in found if entry["command"] == one]
        cells = (f"{e['mebibytes']:.0f} MiB, {60 * e['minutes'] / e['seconds']:.0f}x" for e in of)
        rows.append([one, *cells])
    headings = ["", *(f"{length:g} min" for length in lengths)]
    show("Peak memory, and seconds of audio a second", headings, rows)
    if json is not None:
        head: dict[str, Any] = {"audiomask": audiomask.__version__, "cores": os.cpu_count()}
        head |= {"python": sys.version.split()[0], "threads": threads, "runs": found}
        json.write_text(as_json(head) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
