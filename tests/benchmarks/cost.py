"""Processor time on one thread, compared with peers in the same run.

    OMP_NUM_THREADS=1 python tests/benchmarks/cost.py --rounds 5 --json FILE [--song SONG.wav]

``separate`` is `Engine.separate` of stereo into all stems, beside Open-Unmix of the published width
(512, a model for each stem that sees both channels) with one Wiener step over all stems and the
residual; ``tokenize`` and ``detokenize`` are `Engine.tokenize` and `detokenize` of mono sound,
beside EnCodec 24 kHz at 6 kbit/s, each at its own sample rate. Peers have random weights, which
cost the same as trained ones. ``start-up`` is the whole command `audiomask separate SONG --stem
guitar`, beside `python -c "import torch"`.

All process noise of the same length in memory and take turns, after one round that does not count.
Processor time is measured rather than wall time, as other work on the machine affects it little.
The ratio is the median over the rounds.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
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
from audiomask.evaluation.report import as_json

try:
    import open_unmix_model as umx
    from encodec import EncodecModel
except ModuleNotFoundError as missing:
    raise SystemExit("cost: error: needs the peers: pip install '.[peers]' encodec") from missing

SONG = Path(__file__).parents[2] / "examples" / "song.wav"
Work = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """The same work by audiomask and by a peer.

    Attributes:
        name: of the work.
        peer: its name.
        ours, theirs: do the work.
        clock: returns the processor time, in seconds.
        seconds: of audio; None for work without audio.
    """

    name: str
    peer: str
    ours: Work
    theirs: Work
    clock: Callable[[], float] = time.process_time
    seconds: float | None = None


def noise(channels: int, seconds: float, rate: int) -> Tensor:
    """Noise at -20 dBFS, [C, T]."""
    shape = (channels, round(seconds * rate))
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def separation(engine: Engine, seconds: float) -> Pair:
    """Separation of stereo into all stems, compared with Open-Unmix."""
    audio = noise(2, seconds, umx.SAMPLE_RATE)
    source = MemorySource(audio, umx.SAMPLE_RATE)
    stems = engine.stems()
    peer = umx.separator(umx.build(stems, umx.WIDTH, 2), engine.device)

    def ours() -> None:
        for _ in engine.separate(source, stems):
            pass

    name = f"Open-Unmix, {umx.WIDTH} wide, 1 Wiener step"
    return Pair("separate", name, ours, lambda: peer(audio[None]), seconds=seconds)


def coding(engine: Engine, seconds: float) -> list[Pair]:
    """Encoding and decoding of mono, compared with EnCodec."""
    source = MemorySource(noise(1, seconds, 44_100), 44_100)
    tokens = engine.tokenize(source)
    peer = EncodecModel.encodec_model_24khz(pretrained=False).eval()
    peer.set_target_bandwidth(6.0)
    for module in peer.quantizer.vq.layers:
        # a new model's codebooks are all zeros
        module._codebook.embed.normal_()
        module._codebook.inited.fill_(1)
    audio = noise(1, seconds, peer.sample_rate)[None]
    frames = peer.encode(audio)

    def back() -> None:
        for _ in engine.detokenize(tokens):
            pass

    name = "EnCodec 24 kHz, 6 kbit/s"
    return [
        Pair("tokenize", name, lambda: engine.tokenize(source), lambda: peer.encode(audio),
             seconds=seconds),
        Pair("detokenize", name, back, lambda: peer.decode(frames), seconds=seconds),
    ]  # fmt: skip


def start_up(song: Path, folder: str) -> Pair:
    """The command for one stem of a song, compared with the import of PyTorch."""
    command = [sys.executable, "-m", "audiomask", "separate", str(song), "--stem", "guitar"]
    command += ["-o", folder, "--overwrite", "--quiet", "--threads", "1", "--device", "cpu"]

    def run(words: list[str]) -> None:
        subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def clock() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    imported = [sys.executable, "-c", "import torch"]
    name = f"separate {song.name}, one stem, whole command"
    return Pair(name, "import torch", lambda: run(command), lambda: run(imported), clock)


def taken(work: Work, clock: Callable[[], float]) -> float:
    """The processor time of work, in seconds."""
    began = clock()
    work()
    return clock() - began


def flags() -> str:
    """The processor, and the instruction sets that PyTorch uses."""
    capability = torch.backends.cpu.get_cpu_capability()
    amx = ", AMX" if torch.cpu._is_amx_tile_supported() else ""
    return f"{platform.processor() or platform.machine()}, {capability}{amx}"


def main(
    model: Annotated[Path | None, typer.Option(help="Checkpoints; else the bundled.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of audio.")] = 30.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that count.")] = 5,
    song: Annotated[Path, typer.Option(help="For the whole command.")] = SONG,
    only: Annotated[str, typer.Option(help="Only work whose name begins so.")] = "",
    json: Annotated[Path | None, typer.Option(help="File for all results.")] = None,
) -> None:
    """Measure processor time per second of audio, ours and the peers'."""
    torch.set_num_threads(1)
    engine = Engine(model, "cpu", 1)
    found: dict[str, dict[str, list[float]]] = {}
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        pairs = [separation(engine, seconds), *coding(engine, seconds), start_up(song, folder)]
        pairs = [pair for pair in pairs if pair.name.startswith(only)]
        for turn in range(rounds + 1):
            for pair in pairs:
                times = {
                    "ours": taken(pair.ours, pair.clock),
                    "theirs": taken(pair.theirs, pair.clock),
                }
                for name, value in times.items():
                    found.setdefault(pair.name, {}).setdefault(name, []).extend(
                        [value] * (turn > 0)
                    )
            note(f"{turn} of {rounds} rounds")
    show(
        f"Processor time on one thread, medians of {rounds} rounds; {flags()}",
        ("", "ours", "peer's", "ratio", "peer"),
        [row(pair, found[pair.name]) for pair in pairs],
    )
    if json is not None:
        head: dict[str, Any] = {
            "audiomask": audiomask.__version__,
            "torch": torch.__version__,
            "processor": flags(),
            "seconds": seconds,
            "times": found,
        }
        json.write_text(as_json(head) + "\n", encoding="utf-8")


def row(pair: Pair, times: Mapping[str, list[float]]) -> list[str]:
    """A row of the table: time per second of audio, and the ratio of the peer's time to ours.

    For work without audio: the time, and the ratio of our time to the peer's.
    """
    ours, theirs = times["ours"], times["theirs"]
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    if pair.seconds is None:
        cells = [f"{statistics.median(values):.2f} s" for values in (ours, theirs)]
        ratio = f"{1 / statistics.median(ratios):.2f} of peer's"
    else:
        cells = [
            f"{1000 * statistics.median(values) / pair.seconds:.1f} ms/s"
            for values in (ours, theirs)
        ]
        ratio = f"{statistics.median(ratios):.2f} x as fast"
    return [pair.name, *cells, ratio, pair.peer]


if __name__ == "__main__":
    typer.run(main)
