"""Codecs: how fast the VQ-VAE encodes and decodes, beside EnCodec 24 kHz and DAC 44.1 kHz.

    python tests/benchmarks/codecs.py --threads 2 --seconds 30 --json FILE

The peers are `transformers` models with random weights, which take as long as trained ones: EnCodec
at 6 kbit/s, and DAC with 9 codebooks (7.8 kbit/s). All process mono noise at their own sample rate,
in one piece, in fp32 on the CPU. They take turns, so that a slower machine slows all; the first
turn does not count. DAC gets 10 seconds, as it is slower than realtime. The VQ-VAE is measured
twice: in windows by `Engine.tokenize` and `detokenize`, and the bare network in one pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from report import note, show
from torch import Tensor

import audiomask
from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, DataError
from audiomask.evaluation.report import as_json, summarize

ENCODEC = "EnCodec 24 kHz"
#: what is timed
WORK = ("encode", "decode")


@dataclass(frozen=True)
class Codec:
    """Something that encodes and decodes.

    Attributes:
        name: for the table.
        sample_rate: in Hz.
        hop: samples a frame.
        encode: from audio [1, T] to the input of ``decode``.
        decode: to audio [..., T].
    """

    name: str
    sample_rate: int
    hop: int
    encode: Callable[[Tensor], Any]
    decode: Callable[[Any], Tensor]

    def noise(self, seconds: float) -> Tensor:
        """Noise at -20 dBFS, [1, T]: whole frames of at least so many seconds."""
        frames = math.ceil(seconds * self.sample_rate / self.hop)
        return 0.1 * torch.randn(1, frames * self.hop, generator=torch.Generator().manual_seed(0))


def ours(engine: Engine) -> list[Codec]:
    """The engine's VQ-VAE, in windows and in one pass."""
    vqvae = engine.vqvae
    rate, hop = vqvae.config.sample_rate, vqvae.config.hop_length
    return [
        Codec(
            "audiomask",
            rate,
            hop,
            lambda audio: engine.tokenize(MemorySource(audio, rate)),
            lambda tokens: torch.cat(list(engine.detokenize(tokens)), dim=-1),
        ),
        Codec("audiomask, bare", rate, hop, vqvae.encode, vqvae.decode),
    ]


def encodec() -> Codec:
    """EnCodec at 6 kbit/s, with 8 codebooks of random codes, as new ones are all zeros."""
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig()).eval()
    for layer in model.quantizer.layers:
        layer.codebook.embed.normal_()
    config = model.config
    return Codec(
        ENCODEC,
        config.sampling_rate,
        config.hop_length,
        lambda audio: model.encode(audio[None], bandwidth=6.0),
        lambda coded: model.decode(coded.audio_codes, coded.audio_scales).audio_values,
    )


def dac() -> Codec:
    """DAC as it was published for 44.1 kHz."""
    from transformers import DacConfig, DacModel

    ratios = [2, 4, 8, 8]
    config = DacConfig(sampling_rate=44_100, downsampling_ratios=ratios, n_codebooks=9)
    model = DacModel(config).eval()
    return Codec(
        "DAC 44.1 kHz",
        config.sampling_rate,
        config.hop_length,
        lambda audio: model.encode(audio[None]).audio_codes,
        lambda codes: model.decode(audio_codes=codes).audio_values,
    )


@torch.inference_mode()
def speeds(
    codecs: Sequence[Codec], audio: Sequence[Tensor], repeats: int
) -> list[dict[str, list[float]]]:
    """Speeds of encoding and decoding of every codec and repeat, in times realtime.

    Args:
        codecs: take turns.
        audio: of each, [1, T].
        repeats: turns that count, after one that does not.

    Raises:
        RuntimeError: decoded audio has another length.
    """
    found: list[dict[str, list[float]]] = [{name: [] for name in WORK} for _ in codecs]
    for turn in range(repeats + 1):
        for codec, sound, taken in zip(codecs, audio, found, strict=True):
            began = time.perf_counter()
            coded = codec.encode(sound)
            between = time.perf_counter()
            decoded = codec.decode(coded)
            ended = time.perf_counter()
            if abs(decoded.shape[-1] - sound.shape[-1]) > codec.hop:
                raise RuntimeError(f"{codec.name}: {sound.shape[-1]} -> {decoded.shape[-1]}")
            if turn > 0:
                seconds = sound.shape[-1] / codec.sample_rate
                taken["encode"].append(seconds / (between - began))
                taken["decode"].append(seconds / (ended - between))
        note(f"{turn} of {repeats} turns")
    return found


def main(
    model: Annotated[Path | None, typer.Option(help="Checkpoint; else the bundled one.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of audio, for all but DAC.")] = 30.0,
    dac_seconds: Annotated[float, typer.Option(min=0.1, help="Of audio for DAC.")] = 10.0,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Turns that count.")] = 5,
    json: Annotated[Path | None, typer.Option(help="File for all results.")] = None,
) -> None:
    """Measure how many seconds of audio a second each codec encodes and decodes."""
    try:
        engine = Engine(model, "cpu", threads)
        try:
            import transformers

            codecs = [*ours(engine), encodec(), dac()]
        except ImportError as error:
            raise DataError("the peers need transformers: pip install transformers") from error
    except AudiomaskError as error:
        note(f"codecs: error: {error}")
        raise typer.Exit(error.exit_code) from None
    lengths = [seconds, seconds, seconds, min(seconds, dac_seconds)]
    audio = [codec.noise(length) for codec, length in zip(codecs, lengths, strict=True)]
    runs = speeds(codecs, audio, repeats)
    data: dict[str, dict[str, Any]] = {}
    for codec, sound, taken in zip(codecs, audio, runs, strict=True):
        data[codec.name] = {
            "sample_rate": codec.sample_rate,
            "seconds": sound.shape[-1] / codec.sample_rate,
            **{name: summarize(values) for name, values in taken.items()},
            "runs": taken,
        }
    lines = []
    for name, entry in data.items():
        medians = [entry[work].median for work in WORK]
        peer = [data[ENCODEC][work].median for work in WORK]
        cells = [f"{value:.1f}" for value in medians]
        cells += [f"{value / other:.2f}" for value, other in zip(medians, peer, strict=True)]
        lines.append([name, f"{entry['seconds']:.1f}", *cells])
    title = f"Times real time with {threads} CPU threads, median of {repeats} turns"
    show(title, ("", "seconds", *WORK, *(f"{work}, of EnCodec's" for work in WORK)), lines)
    if json is not None:
        versions = {
            "audiomask": audiomask.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        head = {"checkpoints": engine.fingerprints, "threads": threads, "repeats": repeats}
        json.write_text(as_json(versions | head | {"codecs": data}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
