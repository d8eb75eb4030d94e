"""Every subcommand where nothing but audiomask and what it requires is installed.

What the extras brought is hidden from Python: its finder sees neither other distributions nor
their modules. ``.ci/run`` does the same once in an environment that really has no more.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RATE = 44100

HIDE = """
import json, sys
from importlib.machinery import PathFinder
hidden = set(json.loads(sys.argv[1]))
class Visible:
    @staticmethod
    def find_distributions(*context):
        for found in PathFinder.find_distributions(*context):
            modules = (found.read_text("top_level.txt") or found.name or "").split()
            if not any(module.replace("-", "_") in hidden for module in modules):
                yield found
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in hidden:
            return PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Visible()
from audiomask.cli import main
main(sys.argv[2:])
"""


def base_distributions() -> set[str]:
    """What a plain install brings: audiomask's requirements and theirs, without extras."""
    found: set[str] = set()
    waiting = ["audiomask"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except ModuleNotFoundError:  # for another system
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def hidden() -> list[str]:
    """The modules of distributions that only extras bring."""
    base = base_distributions()
    return [
        module
        for module, owners in packages_distributions().items()
        if not any(canonicalize_name(owner) in base for owner in owners)
    ]


@pytest.fixture
def plain(tmp_path: Path, hidden: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``plain("tokenize", "one.wav")``: the command without extras, in tmp_path."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE
    for name, stem in (("one", "guitar"), ("two", "bass")):
        tone = 0.2 * np.sin(2 * np.pi * (220 if name == "one" else 55) * time)
        tone += 0.01 * rng.standard_normal(len(time))
        (tmp_path / "songs" / "song").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "songs" / "song" / f"{stem}.wav", tone, RATE)
        tone[RATE : RATE + 900] = 0
        soundfile.write(tmp_path / f"{name}.wav", tone, RATE)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", HIDE, json.dumps(hidden), *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    return run


def test_something_is_hidden(hidden: list[str]) -> None:
    assert {"pytest", "hypothesis"} <= set(hidden)
    assert not {"torch", "numpy", "scipy", "rich"} & set(hidden)


@pytest.mark.slow
def test_every_subcommand_works(plain, tiny) -> None:
    train = ["--data", "songs", "--max-time", "1s", "--set", "warmup=1", "--batch-size", "1"]
    for arguments in (
        ["tokenize", "one.wav", "-o", "one.tokens.safetensors", "--model", tiny],
        ["detokenize", "one.tokens.safetensors", "-o", "back.wav", "--model", tiny],
        ["info", "one.wav", "one.tokens.safetensors", tiny],
        ["infill", "one.wav", "-o", "filled.wav", "--model", tiny],
        ["separate", "two.wav", "--stem", "bass", "--model", tiny],
        ["evaluate", "separate", "--data", "songs", "--split", "all", "--model", tiny],
        ["evaluate", "vqvae", "--data", "songs", "--split", "all", "--model", tiny],
        ["evaluate", "masks", "--data", "songs", "--split", "all", "--model", tiny / "masks"],
        ["train", "vqvae", *train, "--out", "my/vqvae", "--init", tiny / "vqvae"],
        ["train", "masks", *train, "--out", "my/masks", "--init", tiny / "masks"],
        [
            "train",
            "mlm",
            *train,
            "--out",
            "my/mlm",
            "--vqvae",
            tiny / "vqvae",
            "--dry-run",
            "--set",
            "stems=guitar,bass",
        ],
    ):
        done = plain(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["train", "vqvae", "--data", "songs", "--out", "my", "--tensorboard"], "tensorboard"),
        (["train", "vqvae", "--data", "pipe:cat s/", "--out", "my"], "webdataset"),
        (["evaluate", "vqvae", "--data", "songs", "--split", "all", "--opinion"], "visqol-python"),
    ],
)
def test_an_extra_is_named_with_its_command(plain, hidden, tiny, arguments, names) -> None:
    needed = {"tensorboard": "tensorboard", "webdataset": "webdataset", "visqol-python": "visqol"}
    hidden.append(needed[names])  # where it is not installed there is nothing to hide
    done = plain(*arguments)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert "which is not installed: pip install " in lines[-1]
    assert names in lines[-1].partition("pip install")[2]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
