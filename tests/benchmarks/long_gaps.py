"""Long gaps in whole songs: fillings by the song's own passages and by tokens, beside repeating.

    python tests/benchmarks/long_gaps.py songs/*.ogg --lengths 250,500,1000,2000,4000

Of every song, mixed down to one channel unless ``--stereo``, gaps of each length are cut where
there is sound, and filled one by one. ``--clip 7`` takes 7 s from the middle of every song instead,
where passages seldom are. With ``--extend`` the song ends where the gap begins, and is continued.
Medians over all gaps: mel distance, error of the level of the middle third (and how many are within
3 and 6 dB), mean F-measure of the onsets, flux at the worse join; clipped samples and seconds a
gap; in how many gaps the mel distance is less than that of repeating.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from dataclasses import replace
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
from audiomask.infill.extension import Extension
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import FADE
from audiomask.infill.splice import Patch

REPEATING = "repeating"


def main(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    lengths: Annotated[str, typer.Option(help="In milliseconds.")] = "250,500,1000,2000,4000",
    number: Annotated[int, typer.Option(min=1, help="Gaps of each length in a file.")] = 2,
    drawn: Annotated[bool, typer.Option(help="Tokens at temperature 1 as well.")] = False,
    by_stem: Annotated[bool, typer.Option(help="Stem by stem as well.")] = False,
    tokens: Annotated[bool, typer.Option(help="Tokens alone as well.")] = True,
    stereo: Annotated[bool, typer.Option(help="Keep the channels.")] = False,
    clip: Annotated[float, typer.Option(min=0.0, help="Seconds from a song's middle.")] = 0.0,
    extend: Annotated[bool, typer.Option(help="Nothing is known after the gap.")] = False,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Every gap, as JSON.")] = None,
) -> None:
    """Measure fillings of long gaps."""
    engine = Engine(threads=threads)
    settings = {"auto": InfillSettings()}
    if tokens:
        settings["tokens"] = InfillSettings("tokens")
    if by_stem:
        settings["by stem"] = InfillSettings(by_stem=True)
    if drawn:
        settings["tokens, temperature 1"] = InfillSettings("tokens", temperature=1.0)
    rows: dict[tuple[str, float], list[dict[str, float]]] = defaultdict(list)
    sizes = [float(length) for length in lengths.split(",")]
    used: dict[float, list[bool]] = defaultdict(list)

    def filled_by(name: str, audio: torch.Tensor, gap: Gap, rate: int) -> Patch:
        if name == REPEATING:
            return repeat(audio, gap, round(FADE * rate))
        if extend:
            cut = MemorySource(audio[:, : gap.start], rate)
            parts = list(engine.extend(cut, Extension(after=gap.length), settings[name]))
            made = replace(parts[0], samples=torch.cat([one.samples for one in parts], dim=1))
        else:
            made = next(iter(engine.infill(MemorySource(audio, rate), [gap], settings[name])))
        if name == "auto":
            used[1000 * gap.length / rate].append(made.passage is not None)
        return made

    for file in files:
        audio, rate = read_audio(file)
        audio = audio if stereo else audio.mean(dim=0, keepdim=True)
        if clip:
            begin = max(audio.shape[1] // 2 - round(clip * rate / 2), 0)
            audio = audio[:, begin : begin + round(clip * rate)]
        song = Song(file.stem, audio, {}, rate)
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
        if output is not None:  # after every song, as long runs end before their time
            save(output, rows)
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


def save(path: Path, rows: dict[tuple[str, float], list[dict[str, float]]]) -> None:
    """Write the scores of every gap as JSON; those of one gap have the same number."""
    entries = [
        {"method": name, "ms": size, "gap": number} | row
        for (name, size), found in rows.items()
        for number, row in enumerate(found)
    ]
    path.write_text(json.dumps(entries))


if __name__ == "__main__":
    typer.run(main)
