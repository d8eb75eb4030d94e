"""Separation: how much closer to the true stems `audiomask separate` comes than the mixture is.

    python tests/benchmarks/separation.py --data FOLDER [--model DIR] [--json]

FOLDER is in Slakh2100's layout (examples/render_band.py writes it). The measure is SI-SDR in dB
(torchmetrics, zero_mean=False: a constant offset counts as error), over all channels of a clip as
one signal, and its improvement over taking the mixture for the stem. Beside it, on the same clips:

- ratio mask: the true stems' power over the sum of all sources' (the rest included), on an STFT of
  4096/512. An oracle: about the most that any such mask can reach.
- lowpass: the mixture below 200 Hz (Butterworth, order 4, zero phase) taken for the bass.
- the mixture itself: 0 dB by definition.

A stem below -60 dBFS in a clip has no SI-SDR: it is left out, and how loud the model renders it
is reported instead. So is a stem that plays (almost) alone: the mixture is already it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from clips import SILENCE, Song, level, read_song, songs_in
from report import SPREAD, Summary, as_json, note, show, summarise
from rich.console import Console
from rich.progress import track
from scipy.signal import butter, sosfiltfilt
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from audiomask.audio.source import MemorySource
from audiomask.audio.spectra import istft, stft
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError

STEMS = ("guitar", "piano", "bass", "drums")
SIZE, HOP = 4096, 512
#: SI-SDR of the mixture, in dB, above which there is nothing to separate
ALONE = 40.0
#: SI-SDR of mixture and model; then, in dB over the mixture: SI-SDR, or the level where silent
COLUMNS = ("mixture", "model", "improvement", "ratio_mask", "lowpass", "leak")


def si_sdr(estimate: Tensor, target: Tensor) -> float:
    """SI-SDR in dB of [C, T] as one signal."""
    # in double: a float's sums over a minute are only good to 60 dB
    pair = (estimate.flatten().double(), target.flatten().double())
    return float(scale_invariant_signal_distortion_ratio(*pair, zero_mean=False))


def separate(engine: Engine, song: Song) -> dict[str, Tensor]:
    """The engine's stems [C, T]."""
    source = MemorySource(song.mixture, song.sample_rate)
    blocks = list(engine.separate(source, STEMS))
    return {stem: torch.cat([block[stem] for block in blocks], dim=-1) for stem in STEMS}


def ratio_mask(song: Song) -> dict[str, Tensor]:
    """Oracle: every stem masked out of the mixture by its true share of the power."""
    length = song.mixture.shape[-1]
    known = {stem: song.stems[stem] for stem in STEMS if stem in song.stems}
    rest = song.mixture - torch.stack(list(known.values())).sum(dim=0)
    pad = (0, -length % HOP)
    sources = torch.nn.functional.pad(torch.stack([*known.values(), rest]), pad)
    power = stft(sources, SIZE, HOP).abs().square()
    mixture = stft(torch.nn.functional.pad(song.mixture, pad), SIZE, HOP)
    shares = power / power.sum(dim=0).clamp_min(1e-12)
    audio = istft(shares[:-1] * mixture, SIZE, HOP)[..., :length]
    return dict(zip(known, audio, strict=True))


def lowpass(song: Song) -> Tensor:
    """The mixture below 200 Hz, [C, T]."""
    sections = butter(4, 200, fs=song.sample_rate, output="sos")
    return torch.from_numpy(sosfiltfilt(sections, song.mixture.double().numpy()).copy())


def measure(song: Song, estimates: dict[str, Tensor]) -> list[dict[str, Any]]:
    """One row per stem of a song: SI-SDR of mixture, model and baselines, or why there is none."""
    oracle, low = ratio_mask(song), lowpass(song)
    rows = []
    for stem in STEMS:
        row: dict[str, Any] = {"clip": song.name, "stem": stem}
        rows.append(row)
        true = song.stems.get(stem)
        if true is None or level(true) < SILENCE:
            row["silent"] = True
            row["leak"] = level(estimates[stem]) - level(song.mixture)
            continue
        row["mixture"] = si_sdr(song.mixture, true)
        if row["mixture"] > ALONE:
            row["alone"] = True
            continue
        row["model"] = si_sdr(estimates[stem], true)
        row["improvement"] = row["model"] - row["mixture"]
        row["ratio_mask"] = si_sdr(oracle[stem], true) - row["mixture"]
        if stem == "bass":
            row["lowpass"] = si_sdr(low, true) - row["mixture"]
    return rows


def values(rows: list[dict[str, Any]], stem: str, key: str) -> list[float]:
    """A column of the rows of one stem, where it is known."""
    return [row[key] for row in rows if row["stem"] == stem and key in row]


def summaries(rows: list[dict[str, Any]]) -> dict[str, dict[str, Summary]]:
    """What every column of every stem amounts to, where there is anything."""
    return {
        stem: {name: summarise(found) for name in COLUMNS if (found := values(rows, stem, name))}
        for stem in STEMS
    }


def over_stems(stems: dict[str, dict[str, Summary]]) -> dict[str, dict[str, float]]:
    """Means over the stems of their means and of their medians: every stem counts alike."""
    known = [entry for entry in stems.values() if "improvement" in entry]
    names = ("mixture", "model", "improvement", "ratio_mask") if known else ()
    return {
        name: {
            "mean": sum(entry[name].mean for entry in known) / len(known),
            "median": sum(entry[name].median for entry in known) / len(known),
        }
        for name in names
    }


def print_report(rows: list[dict[str, Any]], speeds: list[float]) -> None:
    """The tables."""
    stems = summaries(rows)
    lines = []
    for stem, entry in stems.items():
        if "improvement" in entry:
            gains = [r for r in rows if r["stem"] == stem and "improvement" in r]
            worst = min(gains, key=lambda r: float(r["improvement"]))["clip"]
            better = sum(r["improvement"] > 0 for r in gains)
            cells = entry["improvement"].cells()
            lines.append([stem, str(len(gains)), *cells, worst, f"{better}/{len(gains)}"])
    mean = over_stems(stems)
    if mean:
        both = mean["improvement"]
        lines.append(["mean of stems", "", f"{both['mean']:.2f}", f"{both['median']:.2f}"])
    title = "SI-SDR improvement over the mixture, dB"
    show(title, ["stem", "clips", *SPREAD, "least in", "above 0"], lines)

    lines = [
        [stem]
        + [
            f"{entry[name].mean:.2f} / {entry[name].median:.2f}" if name in entry else ""
            for name in COLUMNS
        ]
        for stem, entry in stems.items()
    ]
    headings = ["mixture SI-SDR", "model SI-SDR", "model", "ratio mask (oracle)", "200 Hz lowpass"]
    show(
        "Beside the baselines, dB, mean / median (the last four are relative to the mixture:"
        " improvement; a silent stem's level)",
        ["stem", *headings, "leak where silent"],
        lines,
    )
    for word in ("silent", "alone"):
        if number := sum(word in row for row in rows):
            note(f"{number} stems left out: {word}")
    note(f"speed: {summarise(speeds).median:.2f} s of audio a second (median; all stems at once)")


def main(
    data: Annotated[Path, typer.Option(help="Songs in Slakh2100's layout.")],
    model: Annotated[Path | None, typer.Option(help="Checkpoints; default: bundled.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many songs.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Only the middle of every song.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Every row as JSON on stdout.")] = False,
) -> None:
    """Measure separation on songs whose stems are known."""
    rows: list[dict[str, Any]] = []
    speeds: list[float] = []
    try:
        engine = Engine(model, device=device, threads=threads)
        tracks = songs_in(data, limit)
        separate(engine, read_song(tracks[0], seconds))  # loads the models and warms up
        for entry in track(tracks, "separating", console=Console(stderr=True)):
            song = read_song(entry, seconds)
            start = time.perf_counter()
            estimates = separate(engine, song)
            taken = time.perf_counter() - start
            speeds.append(song.mixture.shape[-1] / song.sample_rate / taken)
            rows += measure(song, estimates)
    except AudiomaskError as error:
        note(f"separation: error: {error}")
        raise typer.Exit(error.exit_code) from None
    if json:
        stems = summaries(rows)
        summary = {"stems": stems, "mean_over_stems": over_stems(stems)}
        speed = {"speed": summarise(speeds), "device": str(engine.device)}
        print(as_json(summary | speed | {"clips": rows}))
    else:
        print_report(rows, speeds)


if __name__ == "__main__":
    typer.run(main)
