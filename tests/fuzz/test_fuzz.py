"""What fuzzing once found stays mended, and some hundreds of inputs changed at random do no harm.

``run.py`` searches for more.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
#: inputs changed at random for each surface; those that are accepted run models
RUNS = {"tokens": 300, "checkpoints": 60, "gaps": 300, "audio": 150, "runfiles": 200}


@pytest.fixture(scope="session")
def replayed() -> dict[str, dict[str, Any]]:
    """What became of every surface, in one process of limited memory."""
    order = [f"{name}:{runs}" for name, runs in RUNS.items()]
    done = subprocess.run(
        [sys.executable, HERE / "replay.py", *order],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["surface"]: line for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_hostile_input_is_refused_or_read(replayed: dict[str, Any], name: str) -> None:
    found = replayed[name]
    assert found["runs"] >= found["seeds"] + RUNS[name]
    # else the harness tests nothing
    assert found["seeds_accepted"] == found["seeds"] > 0
    assert found["accepted"] < found["runs"]
    assert found["defects"] == []


def test_what_is_kept_is_small() -> None:
    kept = [path for path in (HERE / "found").rglob("*") if path.is_file()]
    assert kept
    assert {path.parent.name for path in kept} <= set(RUNS)
    assert max(path.stat().st_size for path in kept) < 2048


#: defects by what shows them, and words of what is said of each
SPOILT = {
    "IndexError": "list index out of range",
    "opened": "opened '/etc/",
    "MiB for": "MiB for",
    "subprocess": "subprocess.Popen",
    "find_class": "pickle.find_class",
    "printed": "printed b'junk",
    "MemoryError": "",
}
SURFACE = """
import ctypes, pickle, subprocess, sys
sys.path.insert(0, {here!r})
from watch import DivergenceGuard, limit_space
from replay import place_of
from audiomask.errors import TokensError
def attempt(data):
    if data == b"IndexError": [][0]
    if data == b"opened": open("/etc/hostname")
    if data == b"MiB for": bytearray(800 << 20)
    if data == b"subprocess": subprocess.run(["true"])
    if data == b"find_class": pickle.loads(b"cos\\nsystem\\n.")
    if data == b"printed": ctypes.CDLL(None).puts(b"junk")
    if data == b"MemoryError": bytearray(16 << 30)
    raise TokensError("no tokens")
watch = DivergenceGuard()
limit_space()
watch.run(attempt, b"harmless")
for kind in {kinds!r}:
    try:
        watch.run(attempt, kind.encode())
    except Exception as error:
        print(kind, place_of(error), sep="\\t", file=watch.out)
"""


@pytest.mark.slow
def test_the_watch_sees_every_kind_of_defect() -> None:
    code = SURFACE.format(here=str(HERE), kinds=list(SPOILT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = dict(line.split("\t") for line in done.stdout.splitlines())
    assert seen.keys() == SPOILT.keys()
    for kind, words in SPOILT.items():
        assert words in seen[kind]
