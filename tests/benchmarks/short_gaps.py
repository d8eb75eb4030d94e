"""Short gaps in tonal recordings: signal-to-noise ratios, compared with Janssen's method.

    python tests/benchmarks/short_gaps.py violin.wav clarinet.wav piano.wav --lengths 20,50,80

In every file, mixed to mono, ten gaps of each length are placed where there is sound and filled one
by one. Results are means over all gaps: SNR in the gap in dB (0 for silence), and seconds a gap.
"""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from report import note, show

from audiomask import Engine, InfillSettings, read_audio
from audiomask.audio.source import MemorySource
from audiomask.evaluation.baselines import autoregressive, repeat
from audiomask.evaluation.infill import patched, places
from audiomask.evaluation.metrics import snr
from audiomask.evaluation.songs import Song
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import FADE
from audiomask.infill.splice import Patch


def main(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    lengths: Annotated[str, typer.Option(help="Of the gaps, in milliseconds.")] = "20,50,80",
    number: Annotated[int, typer.Option(min=1, help="Gaps of each length in a file.")] = 10,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Measure fillings of short gaps."""
    engine = Engine(threads=threads)

    def ours(method: str, audio: torch.Tensor, gap: Gap, rate: int) -> Patch:
        source = MemorySource(audio, rate)
        return next(iter(engine.infill(source, [gap], InfillSettings(method))))

    methods = {
        "audiomask": lambda *gap: ours("auto", *gap),
        "audiomask --method ar": lambda *gap: ours("ar", *gap),
        "Janssen, 1000 coefficients of 0.1 s": autoregressive,
        "repeating": lambda audio, gap, rate: repeat(audio, gap, round(FADE * rate)),
    }
    ratios: dict[tuple[str, float], list[float]] = defaultdict(list)
    seconds: dict[tuple[str, float], float] = defaultdict(float)
    sizes = [float(length) for length in lengths.split(",")]
    for file in files:
        audio, rate = read_audio(file)
        song = Song(file.stem, audio.mean(dim=0, keepdim=True), {}, rate)
        for size in sizes:
            for gap in places(song, size, number, 0):
                holed = song.mixture.clone()
                holed[:, gap.start : gap.stop] = 0
                inside = slice(gap.start, gap.stop)
                for name, fill in methods.items():
                    began = time.perf_counter()
                    filled = patched(holed, fill(holed, gap, rate))
                    seconds[name, size] += time.perf_counter() - began
                    ratio = snr(filled[:, inside], song.mixture[:, inside])
                    ratios[name, size].append(ratio)
        note(f"{file.name}: done")
    rows = []
    for name in methods:
        means = [sum(ratios[name, size]) / max(len(ratios[name, size]), 1) for size in sizes]
        each = [seconds[name, size] / max(len(ratios[name, size]), 1) for size in sizes]
        rows.append([name, *(f"{mean:.1f}" for mean in means), *(f"{s:.2f}" for s in each)])
    headings = [
        "",
        *(f"{size:g} ms" for size in sizes),
        *(f"{size:g} ms, s a gap" for size in sizes),
    ]
    show("SNR in the gaps, dB, and seconds a gap", headings, rows)


if __name__ == "__main__":
    typer.run(main)
