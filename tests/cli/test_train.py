"""``audiomask train`` hands its options on."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from audiomask.training.options import TrainOptions


@pytest.fixture
def runs(monkeypatch):
    """The runs asked for, as (kind, options)."""
    asked = []
    module = ModuleType("audiomask.training.run")
    module.train_vqvae = lambda options: asked.append(("vqvae", options))  # type: ignore[attr-defined]
    module.train_mlm = lambda options: asked.append(("mlm", options))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "audiomask.training.run", module)
    return asked


def test_defaults(invoke, runs, tmp_path):
    (tmp_path / "d").mkdir()
    assert invoke("train", "vqvae", "--data", "d", "--out", "run").status == 0
    assert runs == [("vqvae", TrainOptions(data=(Path("d"),), out=Path("run")))]


def test_every_option(invoke, runs, tmp_path):
    for name in ("d", "e", "v"):
        (tmp_path / name).mkdir()
    done = invoke(
        *("train", "mlm", "--data", "d", "--data", "e", "--out", "run", "--preset", "paper"),
        *("--steps", 100, "--max-time", "9m", "--resume", "--precision", "bf16", "--workers", 3),
        *("--batch-size", 4, "--seed", 7, "--save-every", 50, "--vqvae", "v", "--quiet"),
        *("--set", "layers=2", "--set", "lr=1e-3", "--device", "cpu", "--threads", 2),
        *("--cache", "c", "--keep-tokens", 100, "--dry-run"),
    )
    assert done.status == 0
    options = TrainOptions(
        data=(Path("d"), Path("e")),
        out=Path("run"),
        preset="paper",
        steps=100,
        max_time=540,
        resume=True,
        precision="bf16",
        workers=3,
        batch_size=4,
        seed=7,
        save_every=50,
        vqvae=Path("v"),
        cache=Path("c"),
        keep_tokens=100,
        dry_run=True,
        overrides={"layers": "2", "lr": "1e-3"},
        device="cpu",
        threads=2,
        quiet=True,
    )
    assert runs == [("mlm", options)]


def test_a_finished_checkpoint_is_not_trained_over(invoke, runs, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    done = invoke("train", "vqvae", "--data", "d", "--out", "run")
    assert done.status == 2
    assert "--resume" in done.error_line()
    assert invoke("train", "vqvae", "--data", "d", "--out", "run", "--resume").status == 0
    assert len(runs) == 1


def test_kept_tokens_need_a_place_and_an_mlm(invoke, runs, tmp_path):
    (tmp_path / "d").mkdir()
    done = invoke("train", "mlm", "--data", "d", "--out", "run", "--keep-tokens", 5)
    assert done.status == 2
    assert "--cache" in done.error_line()
    more = ("--keep-tokens", 5, "--cache", "c")
    done = invoke("train", "vqvae", "--data", "d", "--out", "run", *more)
    assert done.status == 2
    assert "train mlm" in done.error_line()
    assert not runs


def test_a_dry_run_may_look_beside_a_finished_checkpoint(invoke, runs, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    assert invoke("train", "vqvae", "--data", "d", "--out", "run", "--dry-run").status == 0
    assert len(runs) == 1
