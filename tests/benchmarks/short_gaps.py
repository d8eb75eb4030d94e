"""Short gaps: fillings beside Janssen's method in the same run.

    python tests/benchmarks/short_gaps.py violin.wav clarinet.wav piano.wav --lengths 20,50,80

Of every file, mixed down to one channel, ten gaps of each length are cut where there is sound, and
filled one by one. A table for each measure, over all gaps: the mean signal-to-noise ratio in the
gap (silence has 0 dB), the median mel distance, the median level of the middle third against what
was there, and seconds of processor time a gap.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Annotated

import torch
import typer
from report import note, show

from audiomask import Engine, InfillSettings, read_audio
from audiomask.audio.source import MemorySource
from audiomask.evaluation.baselines import repeat
from audiomask.evaluation.infill import patched, places, scores
from audiomask.evaluation.metrics import level
from audiomask.evaluation.songs import Song
from audiomask.infill.autoregressive import interpolate
from audiomask.infill.edges import sides
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import FADE
from audiomask.infill.splice import Patch

#: coefficients of Janssen's method at 44.1 kHz, and seconds a side
_JANSSEN = ((1000, 0.1), (2000, 0.2), (3000, 0.2))
_MEASURES: dict[str, tuple[str, Callable[[list[float]], float], str]] = {
    "snr": ("SNR in the gap, dB, mean", mean, "{:.1f}"),
    "mel_distance": ("Mel distance in the gap, median", median, "{:.3f}"),
    "level": ("Level of the middle third, dB, median", median, "{:+.1f}"),
    "seconds": ("Processor time a gap, s, mean", mean, "{:.2f}"),
}


def janssen(order: int, seconds: float, audio: torch.Tensor, gap: Gap, rate: int) -> Patch:
    """A gap filled by one autoregressive model."""
    before, after = sides(MemorySource(audio, rate), gap, [gap], seconds)
    start = before.shape[1]
    near = torch.cat((before, before.new_zeros(len(before), gap.length), after), dim=1)
    filled = interpolate(near, start, start + gap.length, round(order * rate / 44_100))
    return Patch(gap.start, filled)


def middle_level(filled: torch.Tensor, original: torch.Tensor, gap: Gap) -> float:
    """The level of a filling's middle third over that of what was there, dB."""
    middle = slice(gap.start + gap.length // 3, gap.stop - gap.length // 3)
    return level(filled[:, middle]) - level(original[:, middle])


def main(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    lengths: Annotated[str, typer.Option(help="Of the gaps, in milliseconds.")] = "20,50,80,120",
    number: Annotated[int, typer.Option(min=1, help="Gaps of each length in a file.")] = 10,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Measure fillings of short gaps."""
    engine = Engine(threads=threads)

    def ours(method: str, audio: torch.Tensor, gap: Gap, rate: int) -> Patch:
        source = MemorySource(audio, rate)
        return next(iter(engine.infill(source, [gap], InfillSettings(method))))

    methods = {
        "audiomask": partial(ours, "auto"),
        **{
            f"Janssen, {order} coefficients of {seconds:g} s": partial(janssen, order, seconds)
            for order, seconds in _JANSSEN
        },
        "repeating": lambda audio, gap, rate: repeat(audio, gap, round(FADE * rate)),
    }
    found: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    sizes = [float(length) for length in lengths.split(",")]
    for file in files:
        audio, rate = read_audio(file)
        song = Song(file.stem, audio.mean(dim=0, keepdim=True), {}, rate)
        for size in sizes:
            for gap in places(song, size, number, 0):
                holed = song.mixture.clone()
                holed[:, gap.start : gap.stop] = 0
                for name, fill in methods.items():
                    began = time.process_time()
                    filled = patched(holed, fill(holed, gap, rate))
                    took = time.process_time() - began
                    measured = {
                        **scores(filled, song.mixture, gap, rate),
                        "level": middle_level(filled, song.mixture, gap),
                        "seconds": took,
                    }
                    for measure in _MEASURES:
                        found[measure, name, size].append(measured[measure])
        note(f"{file.name}: done")
    for measure, (title, summary, form) in _MEASURES.items():
        rows = [
            [name, *(form.format(summary(found[measure, name, size] or [0.0])) for size in sizes)]
            for name in methods
        ]
        show(title, ["", *(f"{size:g} ms" for size in sizes)], rows)


if __name__ == "__main__":
    typer.run(main)
