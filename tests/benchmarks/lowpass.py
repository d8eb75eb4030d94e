"""Lowpass: the mixture below 200 Hz taken for the bass, beside `audiomask evaluate separate`.

    python tests/benchmarks/lowpass.py --data FOLDER [--split all] [--limit N]

FOLDER holds songs with stems, in any layout that `audiomask evaluate` takes. The filter is a
Butterworth of order 4, run forwards and backwards. A bass that is silent, or plays alone, is left
out as it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from report import note, show
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from audiomask.errors import AudiomaskError, DataError
from audiomask.evaluation.measures import SILENCE, level, sdr, si_sdr
from audiomask.evaluation.options import Split
from audiomask.evaluation.report import SPREAD, summarise
from audiomask.evaluation.separation import ALONE
from audiomask.evaluation.songs import Choice, Song, find_pieces
from audiomask.training.data.layouts import recognise

STEM, CUTOFF = "bass", 200


def lowpass(song: Song) -> Tensor:
    """The mixture below the cutoff, [C, T]."""
    sections = butter(4, CUTOFF, fs=song.sample_rate, output="sos")
    return torch.from_numpy(sosfiltfilt(sections, song.mixture.double().numpy()).copy())


def main(
    data: Annotated[Path, typer.Option(help="Folder of songs with stems.")],
    split: Annotated[Split, typer.Option(help="Songs of this split only.")] = Split.test,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many songs.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Only the middle of every song.")] = None,
) -> None:
    """Measure how much a lowpass improves on the mixture as an estimate of the bass."""
    gains: dict[str, list[float]] = {"SI-SDR": [], "SDR": []}
    try:
        choice = Choice(split.value, limit, seconds, stems=(STEM,))
        for piece in find_pieces([recognise(data)], choice):
            song = piece.read()
            true = song.stems.get(STEM)
            if true is None or level(true) < SILENCE or si_sdr(song.mixture, true) > ALONE:
                continue
            low, mixture = lowpass(song), song.mixture
            gains["SI-SDR"].append(si_sdr(low, true) - si_sdr(mixture, true))
            made, taken = (sdr([x], [true], song.sample_rate)[0] for x in (low, mixture))
            gains["SDR"].append(made - taken)
        if not gains["SI-SDR"]:
            raise DataError(f"{data}: no song has a bass beside other stems")
    except AudiomaskError as error:
        note(f"lowpass: error: {error}")
        raise typer.Exit(error.exit_code) from None
    lines = [[name, str(len(found)), *summarise(found).cells()] for name, found in gains.items()]
    title = f"Lowpass at {CUTOFF} Hz for the {STEM}: improvement over the mixture, dB"
    show(title, ("", "songs", *SPREAD), lines)


if __name__ == "__main__":
    typer.run(main)
