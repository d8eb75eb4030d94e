"""Fuzzing guided by coverage, with atheris: ``python tests/fuzz/run.py --seconds 300``.

Every surface runs in a process of its own. An input that shows a defect is kept in ``--out``, one
for each line that fails, under the surface's name; a crash or hang of the process ends its run and
is kept as libFuzzer keeps it. Prints a table of executions and defects; exits 1 if there are any.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("tokens", "checkpoints", "gaps", "audio", "runfiles")
#: what is measured, and therefore searched
INSTRUMENTED = ["audiomask", "safetensors", "soundfile", "tomllib"]
_RUNS = re.compile(rb"stat::number_of_executed_units: (\d+)")
_LONGEST = 8192


def fuzz(name: str, seconds: int, runs: int, out: Path, seed: int) -> None:
    """Fuzz one surface in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from replay import kept, place_of
        from surfaces import open_surface
        from watch import DivergenceGuard, limit_space

        surface = open_surface(name)
    import torch

    torch.set_num_threads(1)
    watch = DivergenceGuard()
    corpus = Path(tempfile.mkdtemp(prefix="audiomask-fuzz-"))
    for number, data in enumerate([*surface.seeds(), *(p.read_bytes() for p in kept(name))]):
        (corpus / f"seed-{number}").write_bytes(data)
    words = corpus.with_suffix(".dict")
    entries = ["".join(f"\\x{byte:02x}" for byte in word) for word in surface.WORDS]
    words.write_text("".join(f'"{entry}"\n' for entry in entries))
    out.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()

    def one_input(data: bytes) -> None:
        try:
            watch.run(lambda given: surface.attempt(given, watch.folder), data)
        except Exception as error:
            why = place_of(error)
            place = why.split(" ")[0] + type(error).__name__
            if place not in seen:
                seen.add(place)
                digest = hashlib.sha256(place.encode()).hexdigest()[:12]
                (out / f"{digest}").write_bytes(data)
                print(f"DEFECT {digest} {why!r}", file=sys.stderr, flush=True)

    for data in surface.seeds():  # what is imported and built on first use is not the input's
        surface.attempt(data, watch.folder)
    limit_space()
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-runs={runs}",
        f"-max_len={_LONGEST}",
        f"-artifact_prefix={out}/",
        f"-dict={words}",
        f"-seed={seed}",
        "-timeout=60",
        "-len_control=0",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


def main() -> int:
    """Fuzz the surfaces asked for, one after the other."""
    parser = argparse.ArgumentParser(description="Fuzz what reads the bytes of strangers.")
    parser.add_argument("surfaces", nargs="*", default=NAMES, help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each surface")
    parser.add_argument("--runs", type=int, default=-1, help="at most, for each surface")
    parser.add_argument("--out", type=Path, default=Path("fuzz-found"), help="keeps inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        (name,) = options.surfaces
        fuzz(name, options.seconds, options.runs, options.out, options.seed)
    failed = False
    for name in options.surfaces:
        command = [sys.executable, __file__, name, "--here", "--out", str(options.out / name)]
        command += ["--seconds", str(options.seconds), "--runs", str(options.runs)]
        command += ["--seed", str(options.seed)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        runs = _RUNS.search(done.stderr)
        defects = [line for line in done.stderr.decode("utf-8", "replace").splitlines()
                   if line.startswith("DEFECT ")]  # fmt: skip
        ended = "" if done.returncode == 0 else f", ended with {done.returncode}"
        print(f"{name}: {runs[1].decode() if runs else '?'} runs, {len(defects)} defects{ended}")
        for line in defects:
            print(f"    {line}")
        if done.returncode:
            print(done.stderr[-3000:].decode("utf-8", "replace"))
        failed |= bool(defects) or done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
