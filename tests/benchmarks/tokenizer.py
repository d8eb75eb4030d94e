"""Tokenizer: what the VQ-VAE keeps of the sound at how many bits, and how fast.

    python tests/benchmarks/tokenizer.py --data FOLDER [--model DIR] [--json]

FOLDER holds audio files (of one in Slakh2100's layout, the mixes are taken), mixed down to mono.
For 1 to N levels, from the same codes:

- bitrate claimed (whole bits per token), of the saved token file (safetensors, 16 bits per token
  and a header), and the order-0 entropy of the codes (what an ideal static entropy coder would
  need; below the truth when there are few tokens per code)
- mel distance (audiomask.audio.spectra.mel_distance: mean |Δ log10 mel magnitude|, lower is better)
- the same of the sound below 4 kHz alone: Opus at 6 and 8 kbit/s keeps nothing above, and the
  distance over the full band is mostly that
- SI-SDR in dB (torchmetrics, zero_mean=False), higher is better; a decoder that makes up
  its phases scores low here while sounding right

and per level the share of the codebook that was used, and the perplexity. Opus at 6, 8 and
12 kbit/s stands beside it where opus-tools are installed, with the bitrate of its whole file.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import opus
import torch
import typer
from clips import SILENCE, audio_in, level, read_mono
from report import SPREAD, as_json, note, show, summarise
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from audiomask.audio.source import MemorySource, resample
from audiomask.audio.spectra import mel_distance
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, DataError
from audiomask.tokens import Tokens, save_tokens

OPUS_KBPS = (6, 8, 12)
#: the rate whose Nyquist frequency is that of Opus's narrowest band
LOW_RATE = 8000


def quality(audio: Tensor, decoded: Tensor, sample_rate: int) -> dict[str, float]:
    """How near decoded audio [T] is to the original [T]."""
    pair = (decoded.double(), audio.double())
    low = [resample(x[None], sample_rate, LOW_RATE)[0] for x in (audio, decoded)]
    return {
        "mel_distance": float(mel_distance(audio, decoded, sample_rate)),
        "mel_distance_low": float(mel_distance(low[0], low[1], LOW_RATE)),
        "si_sdr": float(scale_invariant_signal_distortion_ratio(*pair, zero_mean=False)),
    }


def saved_bytes(tokens: Tokens) -> int:
    """Size of the file that holds tokens."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.tokens.safetensors")
        save_tokens(tokens, path)
        return path.stat().st_size


def measure(engine: Engine, audio: Tensor) -> tuple[Tensor, list[dict[str, Any]]]:
    """Codes [levels, F] of audio [T] at the model's rate, and a row for every number of levels."""
    rate = engine.vqvae.config.sample_rate
    seconds = audio.shape[-1] / rate
    start = time.perf_counter()
    tokens = engine.tokenize(MemorySource(audio[None], rate))
    encoding = time.perf_counter() - start
    rows = []
    for levels in range(1, tokens.levels + 1):
        part = dataclasses.replace(tokens, codes=tokens.codes[:, :levels].contiguous())
        start = time.perf_counter()
        decoded = torch.cat(list(engine.detokenize(part)), dim=-1)[0]
        decoding = time.perf_counter() - start
        rows.append(
            {
                "system": f"{levels} level{'s' * (levels > 1)}",
                "claimed_kbps": part.bitrate / 1000,
                "file_kbps": 8 * saved_bytes(part) / seconds / 1000,
                "encode_speed": seconds / encoding,
                "decode_speed": seconds / decoding,
                **quality(audio, decoded, rate),
            }
        )
    return tokens.codes[0], rows


def usage(codes: Tensor, size: int) -> list[dict[str, float]]:
    """Per level of codes [levels, F]: entropy, perplexity and the share of the codebook used."""
    found = []
    for row in codes:
        counts = torch.bincount(row, minlength=size).double()
        share = counts[counts > 0] / counts.sum()
        bits = float(-(share * share.log2()).sum())
        used = float((counts > 0).double().mean())
        found.append({"bits": bits, "perplexity": 2**bits, "used": used, "tokens": len(row)})
    return found


def print_report(rows: list[dict[str, Any]], levels: list[dict[str, float]], fps: float) -> None:
    """The tables."""
    systems = list(dict.fromkeys(row["system"] for row in rows))
    columns = {
        system: {
            key: summarise([row[key] for row in rows if row["system"] == system])
            for key in next(row for row in rows if row["system"] == system)
            if key not in ("system", "file")
        }
        for system in systems
    }
    lines = []
    for number, (system, found) in enumerate(columns.items()):
        own = number < len(levels)
        entropy = sum(entry["bits"] for entry in levels[: number + 1]) * fps / 1000
        lines.append(
            [
                system,
                f"{found['claimed_kbps'].mean:.2f}",
                f"{found['file_kbps'].mean:.2f}",
                f"{entropy:.2f}" if own else "",
                f"{found['encode_speed'].median:.0f}" if own else "",
                f"{found['decode_speed'].median:.0f}" if own else "",
            ]
        )
    headings = ("", "claimed", "file", "entropy", "encode × real time", "decode × real time")
    show("Bitrate in kbit/s (means) and speed (medians)", headings, lines)
    for key, title in (
        ("mel_distance", "Mel distance (lower is better)"),
        ("mel_distance_low", "Mel distance below 4 kHz"),
        ("si_sdr", "SI-SDR, dB (higher is better)"),
    ):
        clips = [[system, *columns[system][key].cells()] for system in systems]
        show(title, ("", *SPREAD), clips)
    lines = [
        [f"level {number}", f"{e['used']:.1%}", f"{e['perplexity']:.0f}", f"{e['bits']:.2f}"]
        for number, e in enumerate(levels, start=1)
    ]
    title = f"Codebook over {levels[0]['tokens']:.0f} tokens a level"
    show(title, ("", "used", "perplexity", "entropy, bits"), lines)


def main(
    data: Annotated[Path, typer.Option(help="A folder of audio files.")],
    model: Annotated[Path | None, typer.Option(help="Checkpoints; default: bundled.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many files.")] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="At most so much of a file.")] = 30.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Every row as JSON on stdout.")] = False,
) -> None:
    """Measure the tokenizer on a folder of audio files."""
    rows: list[dict[str, Any]] = []
    codes: list[Tensor] = []
    try:
        engine = Engine(model, device=device, threads=threads)
        config = engine.vqvae.config
        rate, hop = config.sample_rate, config.hop_length
        beside = OPUS_KBPS if opus.available() else ()
        if not beside:
            note("opusenc or opusdec is not installed (opus-tools): Opus is left out")
        measure(engine, torch.randn(2 * rate) / 10)  # loads the model and warms up
        for file in track(audio_in(data, limit), "coding", console=Console(stderr=True)):
            audio = read_mono(file, rate, seconds)
            if level(audio) < SILENCE:
                note(f"{file}: left out, silent")
                continue
            found, measured = measure(engine, audio)
            codes.append(found)
            for kbps in beside:
                decoded, size = opus.round_trip(audio, rate, kbps)
                file_kbps = 8 * size / (len(audio) / rate) / 1000
                row = {"system": f"Opus {kbps}", "claimed_kbps": kbps, "file_kbps": file_kbps}
                measured.append(row | quality(audio, decoded, rate))
            rows += [{"file": str(file.relative_to(data)), **row} for row in measured]
        if not codes:
            raise DataError(f"{data}: every file is silent")
    except AudiomaskError as error:
        note(f"tokenizer: error: {error}")
        raise typer.Exit(error.exit_code) from None
    levels = usage(torch.cat(codes, dim=-1), config.codebook_size)
    if json:
        print(as_json({"device": str(engine.device), "levels": levels, "files": rows}))
    else:
        print_report(rows, levels, rate / hop)


if __name__ == "__main__":
    typer.run(main)
