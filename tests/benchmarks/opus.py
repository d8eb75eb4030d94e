"""Quality of Opus at low bitrates, by the metrics of `audiomask evaluate vqvae`.

    python tests/benchmarks/opus.py --data FOLDER [--split all] [--limit N] [--opinion]

FOLDER is data for `audiomask evaluate`; songs are mixed to mono. It needs opus-tools, and for
--opinion the requirements of `audiomask evaluate vqvae --opinion`. The bitrate is that of the whole
file.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import torch.nn.functional as F
import typer
from report import note, show
from torch import Tensor

from audiomask.audio.files import read_audio, write_audio
from audiomask.audio.source import MemorySource, ResampledSource
from audiomask.data.layouts import recognize
from audiomask.errors import AudiomaskError, DataError
from audiomask.evaluation.metrics import SILENCE, level
from audiomask.evaluation.mos import LEAST_SECONDS, OPINIONS, TOO_SHORT, MOSPredictor
from audiomask.evaluation.options import Split
from audiomask.evaluation.report import SPREAD, summarize
from audiomask.evaluation.songs import Choice, find_songs
from audiomask.evaluation.vqvae import MEASURES, quality

KBPS = (6, 8, 12, 16)
RATE = 44_100


def round_trip(audio: Tensor, sample_rate: int, kbps: float) -> tuple[Tensor, int]:
    """Encode and decode mono audio.

    Packets are of 60 ms: at low bitrates they sound better than the default of 20 ms, and take
    fewer bits for the container. Metadata has no padding.

    Args:
        audio: [1, T].
        sample_rate: in Hz.
        kbps: target bitrate; the file's is often lower.

    Returns:
        The decoded audio [1, T] at ``sample_rate``, and the size of the file in bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        original, coded, decoded = (Path(folder, name) for name in ("a.wav", "a.opus", "b.wav"))
        write_audio(original, audio, sample_rate, "PCM_24")
        encode = ["opusenc", "--quiet", "--bitrate", f"{kbps:g}", "--framesize", "60"]
        encode += ["--music", "--padding", "0", "--discard-comments", str(original), str(coded)]
        decode = ["opusdec", "--quiet", "--rate", str(sample_rate), "--float"]
        decode += [str(coded), str(decoded)]
        for command in (encode, decode):
            subprocess.run(command, check=True, capture_output=True)
        back, _ = read_audio(decoded)
        size = coded.stat().st_size
    length = audio.shape[-1]
    return F.pad(back[:1, :length], (0, max(0, length - back.shape[-1]))), size


def main(
    data: Annotated[Path, typer.Option(help="Folder of data.")],
    split: Annotated[Split, typer.Option(help="Songs of this split only.")] = Split.test,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many songs.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Only the middle of every song.")] = None,
    opinion: Annotated[bool, typer.Option(help="Also predict mean opinion scores.")] = False,
) -> None:
    """Measure Opus at low bitrates."""
    found: dict[int, list[dict[str, float]]] = {kbps: [] for kbps in KBPS}
    try:
        if not (shutil.which("opusenc") and shutil.which("opusdec")):
            raise DataError("opusenc or opusdec is missing: install opus-tools")
        mos = MOSPredictor() if opinion else None
        choice = Choice(split.value, limit, seconds, mono=True)
        for piece in find_songs([recognize(data)], choice):
            song = piece.read()
            if level(song.mixture) < SILENCE:
                note(f"{song.name}: left out, silent")
                continue
            source = ResampledSource(MemorySource(song.mixture, song.sample_rate), RATE)
            audio = source.read(0, source.frames)
            if mos is not None and audio.shape[-1] < LEAST_SECONDS * RATE:
                note(f"{song.name}: left out, {TOO_SHORT}")
                continue
            for kbps, rows in found.items():
                decoded, size = round_trip(audio, RATE, kbps)
                rate = 8 * size / (audio.shape[-1] / RATE) / 1000
                rows.append({"kbps": rate} | quality(decoded, audio, RATE, mos))
        if not all(found.values()):
            raise DataError(f"{data}: no song was measured")
    except AudiomaskError as error:
        note(f"opus: error: {error}")
        raise typer.Exit(error.exit_code) from None
    measures = MEASURES | (OPINIONS if opinion else {})
    for key, title in {"kbps": "Bitrate of the file, kbit/s", **measures}.items():
        lines = [
            [f"Opus {kbps}", *summarize([row[key] for row in rows]).cells()]
            for kbps, rows in found.items()
        ]
        show(title, ("", *SPREAD), lines)


if __name__ == "__main__":
    typer.run(main)
