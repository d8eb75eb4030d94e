"""Detection of damage by surprise: clicks, splices, dropouts and stuck spans that are planted.

The same detector runs with the costs of the raw-audio model, and with those of backward-adaptive
linear prediction of order 32. Each gets the threshold that does best on the recordings of
``--tune``, and is then measured on the others. A fault counts as found if a span that was found
overlaps it or lies within 3 ms; a span that meets no fault is a false alarm.

    python tests/benchmarks/surprise.py --tune validation/ --test test/ --model my/wave
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiomask.audio.files import AudioFile
from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.evaluation.sample_codes import linear_costs
from audiomask.infill.detection.surprise import SampleCosts, Surprise, WaveCosts, find_surprises

Audio = npt.NDArray[np.float32]

KINDS = ("click", "splice", "dropout", "stuck")
#: seconds between faults, about, and from a fault within which a span must lie
EVERY, TOLERANCE = 1.0, 0.003
#: lowest level beside a fault, in dB of full scale
QUIET = -45.0
#: least score that is looked at, in bits, and thresholds that are tried
LEAST = 8.0
THRESHOLDS = np.arange(LEAST, 120.0, 2.0)


class Fault(NamedTuple):
    """A planted fault: samples [start, stop)."""

    start: int
    stop: int
    kind: str


class LinearCosts:
    """What samples cost by linear prediction of order 32."""

    sample_rate, unit = 16_000, 128

    def costs(self, levels: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Bits of the samples from ``first`` on, and those to be expected."""
        bits, expected = linear_costs(levels[None], len(levels) - first)
        return bits[0], expected[0]


def level(audio: Audio) -> float:
    """Root mean square, in dB of full scale."""
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-12))


def plant(audio: Audio, rate: int, seed: int) -> tuple[Audio, list[Fault]]:
    """A copy of audio [T] with faults of all kinds in turn, and these."""
    rng = np.random.default_rng(seed)
    made, faults = audio.copy(), []
    side = rate // 50
    for number, begin in enumerate(np.arange(0.7, len(audio) / rate - 0.8, EVERY)):
        start = int((begin + rng.uniform(0, 0.4 * EVERY)) * rate)
        kind = KINDS[number % len(KINDS)]
        length = int(rng.uniform(0.005, 0.1) * rate)
        if kind == "click":
            length = int(rng.integers(1, 51))
        beside = min(level(audio[start - side : start]), level(audio[start + length :][:side]))
        if beside < QUIET:
            continue
        loud = 10 ** (beside / 20)
        if kind == "click":
            made[start : start + length] += loud * rng.uniform(0.5, 4) * rng.normal(size=length)
        elif kind == "dropout":
            made[start : start + length] = 0
        elif kind == "stuck":
            made[start : start + length] = made[start]
        else:  # sound is missing: what comes later moves up until the next fault's place
            missing = int(rng.uniform(0.01, 0.2) * rate)
            until = start + int(0.35 * EVERY * rate)
            made[start:until] = audio[start + missing : until + missing]
            fade = np.linspace(0, 1, side, dtype=np.float32)
            made[until - side : until] *= 1 - fade
            made[until - side : until] += fade * audio[until - side : until]
            length = 1
        faults.append(Fault(start, start + length, kind))
    return np.clip(made, -1, 1).astype(np.float32), faults


def counts(found: list[Surprise], faults: list[Fault], rate: int, least: float) -> Counter[str]:
    """Faults by kind, those found of them, spans, and spans that meet no fault."""
    slack = int(TOLERANCE * rate)
    spans = [one.gap for one in found if one.bits >= least]

    def meets(fault: Fault, start: int, stop: int) -> bool:
        return start < fault.stop + slack and fault.start - slack < stop

    told = Counter[str]()
    for fault in faults:
        told[f"planted {fault.kind}"] += 1
        told[f"found {fault.kind}"] += any(meets(fault, s.start, s.stop) for s in spans)
    told["spans"] = len(spans)
    told["false"] = sum(not any(meets(f, s.start, s.stop) for f in faults) for s in spans)
    return told


def f_measure(told: Counter[str]) -> float:
    """The harmonic mean of precision and recall."""
    planted = sum(told[f"planted {kind}"] for kind in KINDS)
    recall = sum(told[f"found {kind}"] for kind in KINDS) / max(planted, 1)
    precision = 1 - told["false"] / max(told["spans"], 1)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def search(
    paths: list[Path], costs: dict[str, SampleCosts], seconds: float
) -> dict[str, dict[float, Counter[str]]]:
    """Counts by system and threshold, over the middle of recordings."""
    told = {name: {float(t): Counter[str]() for t in THRESHOLDS} for name in costs}
    for number, path in enumerate(paths):
        with AudioFile(path) as file:
            rate, length = file.sample_rate, min(round(seconds * file.sample_rate), file.frames)
            start = (file.frames - length) // 2
            audio = file.read(start, start + length).mean(dim=0).numpy()
        made, faults = plant(audio, rate, number)
        source = MemorySource(torch.from_numpy(made)[None], rate)
        for name, one in costs.items():
            found = find_surprises(source, one, threshold=LEAST)
            for threshold in told[name]:
                told[name][threshold] += counts(found, faults, rate, threshold)
        print(f"{number + 1} of {len(paths)}: {path.name}", flush=True)
    return told


def paths_of(folder: Path, limit: int) -> list[Path]:
    """At most ``limit`` recordings of a folder, evenly spaced."""
    suffixes = {".wav", ".flac", ".ogg", ".mp3"}
    found = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    number = min(limit, len(found))
    return [found[n * len(found) // number] for n in range(number)]


def main() -> None:
    """Print the F-measure of each system, and what it finds of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tune", type=Path, required=True, help="recordings for the threshold")
    parser.add_argument("--test", type=Path, required=True, help="recordings to measure on")
    parser.add_argument("--model", type=Path, required=True, help="a raw-audio model")
    parser.add_argument("--limit", type=int, default=12, help="recordings of each")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each recording")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write everything here")
    arguments = parser.parse_args()
    engine = Engine(arguments.model, "cpu", arguments.threads)
    costs: dict[str, SampleCosts] = {
        "model": WaveCosts(engine.wave, engine.device),
        "LPC 32": LinearCosts(),
    }
    tuned = search(paths_of(arguments.tune, arguments.limit), costs, arguments.seconds)
    tested = search(paths_of(arguments.test, arguments.limit), costs, arguments.seconds)
    everything = {}
    for name in costs:
        best = max(tuned[name], key=lambda threshold: f_measure(tuned[name][threshold]))
        told = tested[name][best]
        everything[name] = {"threshold": best, "tuned": f_measure(tuned[name][best])} | dict(told)
        kinds = ", ".join(f"{k} {told[f'found {k}']}/{told[f'planted {k}']}" for k in KINDS)
        print(
            f"{name}: F {f_measure(told):.3f} (threshold {best} bits, "
            f"F {f_measure(tuned[name][best]):.3f} where it was tuned); {kinds}; "
            f"{told['false']} of {told['spans']} spans false"
        )
        everything[name]["f"] = f_measure(told)
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
