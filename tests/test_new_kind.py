"""A kind that nobody knew goes through the ordinary commands: train, resume, evaluate, load."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toy_kind import TOY
from typer.testing import CliRunner

from audiomask import Engine
from audiomask.cli.app import app
from audiomask.kinds import KINDS, Kind

HERE = Path(__file__).parent / "making"


@pytest.fixture
def audiomask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``audiomask("train", "toy", …)`` runs a command that succeeds, and gives what it wrote."""
    monkeypatch.setitem(KINDS, "toy", TOY)

    def run(*words: object) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_a_new_kind_is_trained_resumed_measured_and_loaded(
    audiomask: Callable[..., str], sound: Callable[..., Path], tmp_path: Path
) -> None:
    for split in ("train", "validation", "test"):
        for number in range(3):
            sound(tmp_path / f"songs/{split}/{number}.wav", 0.5, level=0.1 * (number + 1))
    data, out = tmp_path / "songs", tmp_path / "models" / "toy"
    given = ("--data", data, "--out", out, "--set", "width=4", "--quiet")
    audiomask("train", "toy", *given, "--steps", 10)
    audiomask("train", "toy", *given, "--steps", 60, "--resume")
    config = json.loads((out / "config.json").read_text())
    assert (config["kind"], config["step"], config["config"]["width"]) == ("toy", 60, 4)
    found = audiomask("evaluate", "toy", "--model", out.parent, "--data", data, "--json", "--quiet")
    report = json.loads(found)
    assert len(report["songs"]) == 3
    assert 0 <= report["error"] < 5
    model = Engine(out.parent, "cpu").load("toy")
    assert not model.training
    assert model(torch.ones(1, 10)).shape == (1,)
    audiomask("shrink", out.parent, "-o", tmp_path / "small")
    assert (tmp_path / "small/toy/model.safetensors").exists()


def test_it_takes_few_lines_beside_its_network() -> None:
    lines = (HERE / "toy_kind.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) < 60


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_path_of_the_registry_leads_somewhere(kind: Kind) -> None:
    from audiomask.evaluation.evaluator import Evaluator
    from audiomask.kinds import resolve
    from audiomask.training.task import Task

    assert issubclass(resolve(kind.task), Task)
    assert resolve(kind.task).kind == kind.name
    assert issubclass(resolve(kind.evaluator), Evaluator)
    assert all(isinstance(resolve(config), type) for config in kind.configs)
    assert all(KINDS[other] for other in kind.requires)
    # those that it requires come before it: shrink copies in this order
    assert all(list(KINDS).index(other) < list(KINDS).index(kind.name) for other in kind.requires)
