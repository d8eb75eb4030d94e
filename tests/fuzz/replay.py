"""Replay: what fuzzing found, and some hundreds of inputs changed at random, without atheris.

Started as a program, in a process of limited memory:

    python replay.py SURFACE:RUNS ...

Prints a line of JSON for every surface: its name, the inputs run, those accepted, and the defects
found, each with its input in hexadecimal digits.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from pathlib import Path

import torch
from mutation import mutate
from surfaces import Surface, open_surface
from watch import DivergenceGuard, limit_space

#: inputs that once found a defect, in a folder for every surface
FOUND = Path(__file__).parent / "found"


def kept(name: str) -> list[Path]:
    """The inputs kept for a surface."""
    return sorted((FOUND / name).glob("*"))


def place_of(error: BaseException) -> str:
    """The error, and where it was raised: the innermost line of the package, or of the harness."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/audiomask/" in frame.filename] or frames
    last = ours[-1]
    file = Path(last.filename).name
    return f"{file}:{last.lineno}: {type(error).__name__}: {error}"[:300]


def replay(name: str, surface: Surface, watch: DivergenceGuard, runs: int) -> dict[str, object]:
    """Run a surface's seeds, what is kept for it, and inputs changed at random.

    Args:
        name: of the surface.
        runs: how many changed at random.
    """
    seeds = surface.seeds()
    for data in seeds:  # what is imported and built on first use is not the input's
        surface.attempt(data, watch.folder)
    sources = [path.read_bytes() for path in kept(name)]
    chance = random.Random(name)
    changed = (mutate(seeds + sources, surface.WORDS, chance) for _ in range(runs))
    defects: list[dict[str, str]] = []
    sound = 0
    watch.accepted = 0
    for count, data in enumerate((*seeds, *sources, *changed), start=1):
        try:
            watch.run(lambda given: surface.attempt(given, watch.folder), data)
        except Exception as error:
            defects.append({"why": place_of(error), "input": data[:2000].hex()})
        if count == len(seeds):
            sound = watch.accepted
    return {
        "surface": name,
        "runs": count,
        "seeds": len(seeds),
        "seeds_accepted": sound,
        "accepted": watch.accepted,
        "defects": defects,
    }


def main() -> None:
    """Replay the surfaces that the arguments name."""
    torch.set_num_threads(1)
    watch = DivergenceGuard()
    orders = [argument.split(":") for argument in sys.argv[1:]]
    surfaces = {name: open_surface(name) for name, _ in orders}
    limit_space()
    for name, runs in orders:
        print(json.dumps(replay(name, surfaces[name], watch, int(runs))), file=watch.out)
    watch.out.close()


if __name__ == "__main__":
    main()
