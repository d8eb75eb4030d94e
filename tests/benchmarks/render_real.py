"""Render songs played by held-out instruments of a note bank, to measure separation on.

    python tests/benchmarks/render_real.py OUT --notes FOLDER [--notes ...] --midi FOLDER

writes clips in Slakh2100's layout with `audiomask.data.bands.dataset`, from note libraries and
MIDI songs that no model was trained on. Every clip has all four stems throughout, each drawn from
-3.5 to 3.5 dB about a common loudness, so at most 7 dB from each other. Clip NNNNN depends on the
options and on (seed, NNNNN) alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile as sf
import torch
import typer
import yaml
from report import note
from torch import Tensor

from audiomask.data import DEFAULT_SAMPLE_RATE as SAMPLE_RATE
from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.notes import NoteBank, find_libraries
from audiomask.data.interleave import InterleavedDataset
from audiomask.errors import AudiomaskError, DataError
from audiomask.evaluation.metrics import level

#: stem -> General MIDI program that says so in the metadata
PROGRAMS = {"guitar": 24, "piano": 0, "bass": 32, "drums": 128}
#: dB about the common loudness
SPREAD = 3.5
#: a stem sounds in a second that is at most this far, in dB, under its mean level
AUDIBLE = -30.0
#: share of the seconds in which every stem must sound
BUSY = 0.75
PEAK = 0.89


def throughout(stem: Tensor) -> bool:
    """Whether a stem [T] sounds in most of its seconds."""
    mean = level(stem)
    if mean < -100:
        return False
    parts = [level(part) > mean + AUDIBLE for part in stem.unfold(0, SAMPLE_RATE, SAMPLE_RATE)]
    return sum(parts) >= BUSY * len(parts)


def balance(stems: Tensor, rng: np.random.Generator) -> Tensor:
    """Stems [S, T] at new levels, scaled together so that neither they nor their sum clip."""
    gains = [10 ** ((rng.uniform(-SPREAD, SPREAD) - level(stem)) / 20) for stem in stems]
    moved = stems * torch.tensor(gains)[:, None]
    loudest = torch.cat([moved, moved.sum(dim=0, keepdim=True)]).abs().max()
    return moved * (PEAK / loudest)


def write_track(folder: Path, stems: Tensor) -> None:
    """Write stems [S, T] as 16-bit files, and their exact sum as the mix."""
    whole = (stems * 32767).round().to(torch.int16)
    (folder / "stems").mkdir(parents=True)
    entries = {}
    for number, (name, program) in enumerate(PROGRAMS.items()):
        sf.write(folder / "stems" / f"S{number:02d}.flac", whole[number].numpy(), SAMPLE_RATE)
        entries[f"S{number:02d}"] = {
            "inst_class": name.capitalize(),
            "is_drum": name == "drums",
            "program_num": program,
        }
    mix = whole.sum(dim=0).to(torch.int16)
    sf.write(folder / "mix.flac", mix.numpy(), SAMPLE_RATE)
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"stems": entries}), encoding="utf-8")


def main(
    out: Annotated[Path, typer.Argument(help="A new folder of tracks.")],
    notes: Annotated[list[Path], typer.Option(help="Held-out note banks (repeatable).")],
    midi: Annotated[Path, typer.Option(help="MIDI songs; half of the clips come from these.")],
    songs: Annotated[int, typer.Option(min=1, help="How many clips.")] = 24,
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of every clip.")] = 12.0,
    seed: Annotated[int, typer.Option(min=0)] = 990_000,
    exclude: Annotated[
        list[str] | None, typer.Option(help="STEM/LIBRARY not to use (repeatable).")
    ] = None,
) -> None:
    """Render clips played by held-out instruments."""
    try:
        if out.exists():
            raise DataError(f"{out}: exists; remove it or name another folder")
        libraries = [path for folder in notes for path in find_libraries(folder)]
        left_out = set(exclude or ())
        bank = NoteBank(
            [path for path in libraries if f"{path.parent.name}/{path.name}" not in left_out]
        )
        for stem, group in sorted(bank.instruments.items()):
            note(f"{stem}: {', '.join(instrument.library for instrument in group)}")
        length = round(seconds * SAMPLE_RATE)
        scores = sorted(midi.glob("*.mid"))
        bands = BandDataset(bank, tuple(PROGRAMS), length, seed, scores, formant_shift=False)
        data = InterleavedDataset(
            [bands], seed, tuple(PROGRAMS), length, torch.from_numpy(bank.samples)
        )
        written, index = 0, 0
        while written < songs:
            stems = data.excerpt(index).stems[:, 0]
            *named, rest = stems.unbind()
            if all(throughout(stem) for stem in named) and not rest.any():
                written += 1
                rng = np.random.default_rng([seed, index, 1])
                write_track(out / f"Track{index:05d}", balance(torch.stack(named), rng))
            index += 1
            if index > 100 * songs:
                raise DataError("too few songs have all four stems; is one missing in the bank?")
    except AudiomaskError as error:
        note(f"render_real: error: {error}")
        raise typer.Exit(error.exit_code) from None
    note(f"{written} clips of {index} tried in {out}")


if __name__ == "__main__":
    typer.run(main)
