"""Whole runs on a tiny bank: what a run is, begun, resumed and gone on from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from run_settings import MASKS, MLM, PAPER, VQVAE
from safetensors.torch import load_file

from audiomask.checkpoint import CheckpointLibrary, bundled_folder, load_checkpoint
from audiomask.errors import CheckpointError, UsageError
from audiomask.networks.vqvae import build_vqvae
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_kind
from audiomask.training.runfile import read_run
from audiomask.training.state import seconds_spent
from audiomask.training.tasks.vqvae import VQVAETask


@pytest.mark.slow
def test_the_plan_of_a_run_by_time_is_kept_and_replaced(
    options: Callable[..., TrainOptions],
) -> None:
    def saved() -> tuple[Any, Any]:
        run = read_run(options("a").out / "run.toml", "vqvae")
        return run.options.get("steps"), run.tables["schedule"].get("total_seconds")

    def go_on(**more: Any) -> None:
        file = read_run(options("a").out / "run.toml", "vqvae")
        # as the command line puts them together
        asked = {"overrides": VQVAE, "steps": file.options.get("steps")} | more
        train_kind("vqvae", options("a", resume=True, files=(file,), **asked))

    train_kind("vqvae", options("a", overrides=VQVAE, steps=None, max_time=1e-3))
    assert saved() == (None, 1e-3)
    spent = seconds_spent(options("a").out)
    go_on()  # by its own plan, which is over
    assert saved() == (None, 1e-3)
    assert seconds_spent(options("a").out) > spent
    spent = seconds_spent(options("a").out)
    go_on(max_time=0.5)
    assert saved() == (None, pytest.approx(spent + 0.5))
    go_on(overrides=VQVAE | {"total_seconds": "0.25"})
    assert saved() == (None, 0.25)
    go_on(steps=1, max_time=60.0)  # steps decide
    assert saved() == (1, None)
    train_kind("vqvae", options("b", overrides=VQVAE, steps=1, max_time=60.0))
    assert read_run(options("b").out / "run.toml", "vqvae").options["steps"] == 1


def test_another_run_is_not_overwritten_but_resumed(options: Callable[..., TrainOptions]) -> None:
    first = options("a", overrides=VQVAE, steps=1)
    train_kind("vqvae", first)
    before = load_file(first.out / "state.safetensors")
    with pytest.raises(UsageError, match="--resume"):
        train_kind("vqvae", first)
    assert train_kind("vqvae", options("a", overrides=VQVAE, steps=2, resume=True)) == 2
    after = load_file(first.out / "state.safetensors")
    assert not torch.equal(before["model/head.weight"], after["model/head.weight"])
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train_kind("vqvae", options("b", overrides=VQVAE, resume=True))


def test_a_run_goes_on_only_as_it_began(options: Callable[..., TrainOptions]) -> None:
    train_kind("vqvae", options("a", overrides=VQVAE, steps=1))
    with pytest.raises(UsageError, match=r"seed is 4, and was 0 when the run began"):
        train_kind("vqvae", options("a", overrides=VQVAE, steps=2, seed=4, resume=True))
    assert train_kind("vqvae", options("a", overrides=VQVAE, steps=2, resume=True)) == 2


def test_the_seed_decides_the_first_weights(options: Callable[..., TrainOptions]) -> None:
    heads = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(7)  # whatever was drawn before
        train_kind("vqvae", options(name, overrides=VQVAE, steps=1, seed=seed))
        heads.append(load_file(options(name).out / "state.safetensors")["model/head.weight"])
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_training_goes_on_from_a_checkpoint(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    start = build_vqvae("paper", {key: int(value) for key, value in PAPER.items()})
    VQVAETask(start, "paper").save(tmp_path / "start", start.state_dict(), {})
    # the checkpoint says what it is, and its settings may be changed
    run = options(
        "a", init=tmp_path / "start", steps=1, overrides={"learning_rate": "0", "commitment": "0.5"}
    )
    train_kind("vqvae", run)
    found = load_checkpoint(run.out, "vqvae")
    assert found.preset == "paper"
    assert found.config["commitment"] == 0.5
    expected = load_checkpoint(tmp_path / "start").tensors
    name = "decoder.0.weight"
    assert torch.equal(found.tensors[name], expected[name])
    with pytest.raises(CheckpointError, match="kind vqvae"):
        train_kind("mlm", options("b", init=tmp_path / "start", vqvae=tmp_path / "start"))
    with pytest.raises(CheckpointError, match="kind vqvae, not masks"):
        train_kind("masks", options("b", init=tmp_path / "start"))


@pytest.mark.slow
def test_the_bundled_models_can_be_gone_on_from(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    still = {"learning_rate": "0", "warmup": "0"}
    for kind in CheckpointLibrary(bundled_folder()).own:
        run = options(kind, init=Path("bundled"), steps=1, batch_size=1, overrides=still)
        train_kind(kind, run)
        found, expected = load_checkpoint(run.out), load_checkpoint(bundled_folder() / kind)
        # settings that came later have their defaults
        assert found.config | expected.config == found.config
        assert found.requires == expected.requires
        for name, value in expected.tensors.items():
            learned = (
                not name.startswith(("quantizer.", "semantic_clusters.")) and "running" not in name
            )
            if value.is_floating_point() and learned:
                again = found.tensors[name].float()
                torch.testing.assert_close(again, value.float(), rtol=1e-2, atol=1e-4)
    # a language model of other tokens is no place to start
    train_kind("vqvae", options("other", overrides=VQVAE, steps=1))
    with pytest.raises(CheckpointError, match=r"another VQ-VAE; name that one with --vqvae"):
        train_kind("mlm", options("b", init=Path("bundled"), vqvae=tmp_path / "other"))


@pytest.mark.slow
def test_a_dry_run_shows_and_trains_nothing(
    options: Callable[..., TrainOptions], capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, settings in (("vqvae", VQVAE), ("mlm", MLM), ("masks", MASKS)):
        run = replace(options(kind, overrides=settings, dry_run=True), quiet=False)
        assert train_kind(kind, run) == 0
        assert [path.name for path in run.out.iterdir()] == ["dry-run"]
        shown = run.out / "dry-run"
        assert (shown / "index.html").is_file()
        assert (shown / "spectrograms.png").is_file()
        assert len(list(shown.glob("*-mixture.wav"))) == 6
        told = capsys.readouterr().err
        assert "note bank" in told
        assert "guitar 2" in told
        assert "nothing was trained" in told


def test_a_device_that_is_not_there_is_refused(options: Callable[..., TrainOptions]) -> None:
    with pytest.raises(UsageError, match="device"):
        train_kind("vqvae", options("a", overrides=VQVAE, device="abacus"))
