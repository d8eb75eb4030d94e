"""Long gaps in whole songs: fillings by the song's own passages and by tokens, beside repeating.

    python tests/benchmarks/long_gaps.py songs/*.ogg --lengths 250,500,1000,2000,4000

Of every song, mixed down to one channel, gaps of each length are cut where there is sound, and
filled one by one. Medians over all gaps: mel distance, error of the level of the middle third (and
how many are within 3 and 6 dB), mean F-measure of the onsets, flux at the worse join; clipped
samples and seconds a gap; in how many gaps the mel distance is less than that of repeating.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from report import note, show

from audiomask import Engine, InfillSettings, read_audio
from audiomask.audio.source import MemorySource
from audiomask.evaluation.baselines import repeat
from audiomask.evaluation.infill import patched, places, scores
from audiomask.evaluation.songs import Song
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import FADE
from audiomask.infill.splice import Patch

REPEATING = "repeating"


def main(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    lengths: Annotated[str, typer.Option(help="In milliseconds.")] = "250,500,1000,2000,4000",
    number: Annotated[int, typer.Option(min=1, help="Gaps of each length in a file.")] = 2,
    drawn: Annotated[bool, typer.Option(help="Tokens at temperature 1 as well.")] = False,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Every gap, as JSON.")] = None,
) -> None:
    """Measure fillings of long gaps."""
    engine = Engine(threads=threads)
    settings = {"auto": InfillSettings(), "tokens": InfillSettings("tokens")}
    if drawn:
        settings["tokens, temperature 1"] = InfillSettings("tokens", temperature=1.0)
    rows: dict[tuple[str, float], list[dict[str, float]]] = defaultdict(list)
    sizes = [float(length) for length in lengths.split(",")]
    used: dict[float, list[bool]] = defaultdict(list)

    def filled_by(name: str, audio: torch.Tensor, gap: Gap, rate: int) -> Patch:
        if name == REPEATING:
            return repeat(audio, gap, round(FADE * rate))
        made = next(iter(engine.infill(MemorySource(audio, rate), [gap], settings[name])))
        if name == "auto":
            used[1000 * gap.length / rate].append(made.passage is not None)
        return made

    for file in files:
        audio, rate = read_audio(file)
        song = Song(file.stem, audio.mean(dim=0, keepdim=True), {}, rate)
        for size in sizes:
            for gap in places(song, size, number, 0):
                holed = song.mixture.clone()
                holed[:, gap.start : gap.stop] = 0
                for name in (*settings, REPEATING):
                    began = time.perf_counter()
                    filled = patched(holed, filled_by(name, holed, gap, rate))
                    seconds = time.perf_counter() - began
                    found = scores(filled, song.mixture, gap, rate)
                    rows[name, size].append(found | {"seconds": seconds})
        note(f"{file.name}: done")
    table = []
    for size in sizes:
        base = np.array([row["mel_distance"] for row in rows[REPEATING, size]])
        for name in (*settings, REPEATING):
            found = rows[name, size]
            if not found:
                continue
            values = {key: np.array([row[key] for row in found]) for key in found[0]}
            errors = np.abs(values["level_error"])
            onset = values["onset_f"][~np.isnan(values["onset_f"])]
            better = np.mean(values["mel_distance"] < base)
            table.append([
                f"{size:g} ms, {name}",
                str(len(found)),
                f"{np.median(values['mel_distance']):.3f}",
                "" if name == REPEATING else f"{100 * better:.0f} %",
                f"{np.median(values['level_error']):+.1f}",
                f"{np.median(errors):.1f}",
                f"{100 * np.mean(errors <= 3):.0f} % / {100 * np.mean(errors <= 6):.0f} %",
                f"{onset.mean():.2f}" if len(onset) else "",
                f"{np.median(values['join_flux']):.1f}",
                f"{values['clipped'].sum():.0f}",
                f"{values['seconds'].mean():.2f}",
            ])  # fmt: skip
        if used:
            shares = [flag for length, flags in used.items() for flag in flags
                      if math.isclose(length, size, rel_tol=1e-2)]  # fmt: skip
            note(f"{size:g} ms: {100 * np.mean(shares or [0]):.0f} % by passages")
    headings = [
        "", "gaps", "mel distance", "better than repeating", "level, dB", "level error, dB",
        "within 3 / 6 dB", "onset F", "flux at joins, dB", "clipped", "s a gap",
    ]  # fmt: skip
    show("Long gaps in whole songs", headings, table)
    if output is not None:
        entries = [
            {"method": name, "ms": size} | row
            for (name, size), found in rows.items()
            for row in found
        ]
        output.write_text(json.dumps(entries))


if __name__ == "__main__":
    typer.run(main)
