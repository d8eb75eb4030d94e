"""Whole runs of the language model: every stage, resumption, and what it must fit."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_lm import STAGES

from audiomask.checkpoint import load_checkpoint, restore, save_checkpoint
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, CheckpointError, UsageError
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_kind
from audiomask.training.tasks.lm import TokenWindows

REQUIRED = {
    "semantic": ("spectrogram",),
    "coarse": ("vqvae", "spectrogram"),
    "fine": ("vqvae",),
    "acoustic": ("vqvae",),
}
Run = Callable[..., TrainOptions]


@pytest.fixture
def stage_options(options: Run, clustered: Path) -> Run:
    """``stage_options("coarse", "a", steps=2)``: a run of a stage on the tiny tokenizers."""

    def make(stage: str, name: str, **more: object) -> TrainOptions:
        places = {kind: clustered / kind for kind in REQUIRED[stage]}
        given = {"overrides": STAGES[stage], "stage": stage, **places}
        return options(name, **(given | more))

    return make


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_trained_resumed_and_loaded(
    stage: str, stage_options: Run, clustered: Path
) -> None:
    whole = stage_options(stage, "whole", steps=3, validate_every=2)
    assert train_kind("lm", whole) == 3
    # the learning rate is planned over the steps: it stops as if it was interrupted
    assert train_kind("lm", stage_options(stage, "parts", steps=3, max_time=1e-9)) < 3
    assert train_kind("lm", stage_options(stage, "parts", steps=3, resume=True)) == 3
    states = [load_file(whole.out.parent / n / "state.safetensors") for n in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if name.startswith("model/"):
            assert torch.equal(states[1][name], value), name
    found = load_checkpoint(whole.out, "lm")
    prints = {kind: load_checkpoint(clustered / kind).fingerprint for kind in REQUIRED[stage]}
    assert found.requires == prints
    assert found.config["stage"] == stage
    model = restore(found)
    assert (model.config.window, model.config.coarse_levels) == (int(STAGES[stage]["window"]), 1)
    # what it requires is looked for beside it
    whole.out.rename(clustered / f"lm-{stage}")
    assert Engine(clustered, "cpu").load(f"lm-{stage}").config == model.config


@pytest.mark.parametrize("stage", STAGES)
def test_tokens_are_kept_and_trained_on(
    stage: str, stage_options: Run, clustered: Path, tmp_path: Path
) -> None:
    more = {"cache": tmp_path / "cache", "keep_tokens": 3, "steps": 3}
    first = stage_options(stage, "a", **more)
    assert train_kind("lm", first) == 3
    (tokens,) = (tmp_path / "cache").glob("tokens-*")
    manifest = json.loads((tokens / "manifest.json").read_text())
    for kind in ("vqvae", "spectrogram"):
        named = kind in REQUIRED[stage]
        expected = load_checkpoint(clustered / kind).fingerprint if named else None
        assert manifest.get(kind) == expected
    assert len(list(tokens.glob("*.safetensors"))) == 3
    # a second run needs no tokenizer any more, and ends with the same weights
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenWindows, "encode", lambda *_: pytest.fail("coded again"))
        second = stage_options(stage, "b", **more)
        train_kind("lm", second)
    states = [load_file(run.out / "state.safetensors") for run in (first, second)]
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


def test_tokens_of_another_tokenizer_or_data_are_kept_apart(
    stage_options: Run, clustered: Path, bank: Path, tmp_path: Path
) -> None:
    more = {"cache": tmp_path / "cache", "keep_tokens": 2, "steps": 1}

    def folders_after(run: TrainOptions) -> int:
        train_kind("lm", run)
        return len(list((tmp_path / "cache").glob("tokens-*")))

    run = stage_options("coarse", "a", **more)
    assert folders_after(run) == 1
    assert folders_after(stage_options("acoustic", "b", **more)) == 2
    # neither the model's size nor the windows cut from the tokens make them others
    smaller = STAGES["coarse"] | {"dim": "4", "window": "16"}
    assert folders_after(stage_options("coarse", "c", overrides=smaller, **more)) == 2
    other = load_checkpoint(clustered / "spectrogram")
    other.tensors["linear_in.bias"] += 1
    folder = tmp_path / "other"
    save_checkpoint(folder, other.kind, other.preset, other.config, other.tensors)
    assert folders_after(stage_options("coarse", "d", spectrogram=folder, **more)) == 3
    assert folders_after(stage_options("coarse", "e", seed=1, **more)) == 4
    copy = shutil.copytree(bank, tmp_path / "bank", copy_function=shutil.copyfile)
    run = stage_options("coarse", "f", **more)
    assert folders_after(replace(run, data=(copy,))) == 5


def test_stages_lie_side_by_side(stage_options: Run, clustered: Path) -> None:
    for stage in STAGES:
        run = stage_options(stage, f"lm-{stage}")
        train_kind("lm", run)
        run.out.rename(clustered / f"lm-{stage}")
    engine = Engine(clustered, "cpu")
    names = tuple(f"lm-{stage}" for stage in STAGES)
    assert engine.kinds[-4:] == names
    assert all(engine.load(name).config.stage == name[3:] for name in names)
    alone = Engine(clustered / "lm-coarse", "cpu")
    assert alone.kinds == ("lm-coarse", "vqvae", "spectrogram")
    assert alone.load("lm-coarse").config == engine.load("lm-coarse").config
    (clustered / "lm-fine").rename(clustered / "fine")
    (clustered / "lm-acoustic").rename(clustered / "lm-fine")
    with pytest.raises(CheckpointError, match="lm-fine: is the stage acoustic, not fine"):
        Engine(clustered, "cpu").load("lm-fine")


def test_another_tokenizer_is_refused(stage_options: Run, clustered: Path, tmp_path: Path) -> None:
    run = stage_options("coarse", "lm-coarse")
    train_kind("lm", run)
    other = load_checkpoint(clustered / "spectrogram")
    other.tensors["linear_in.bias"] += 1
    folder = tmp_path / "others" / "spectrogram"
    save_checkpoint(folder, other.kind, other.preset, other.config, other.tensors)
    shutil.copytree(clustered / "vqvae", folder.parent / "vqvae")
    shutil.copytree(run.out, folder.parent / "lm-coarse")
    with pytest.raises(CheckpointError, match=r"belongs to the spectrogram model .*, not to"):
        Engine(folder.parent, "cpu").load("lm-coarse")
    again = stage_options("coarse", "more", init=run.out, spectrogram=folder)
    with pytest.raises(CheckpointError, match="with another spectrogram model; name that one with"):
        train_kind("lm", again)


def test_going_on_from_a_checkpoint(stage_options: Run) -> None:
    first = stage_options("acoustic", "first")
    train_kind("lm", first)
    changed = {"learning_rate": "0", "window": "48"}
    second = stage_options("acoustic", "second", init=first.out, overrides=changed)
    assert train_kind("lm", second) == 2
    old, new = load_checkpoint(first.out), load_checkpoint(second.out)
    assert new.config == old.config | {"window": 48}
    assert all(torch.equal(new.tensors[name], value) for name, value in old.tensors.items())
    wrong = stage_options("fine", "third", init=first.out)
    with pytest.raises(CheckpointError, match="is the stage acoustic; the run is of fine"):
        train_kind("lm", wrong)


def test_what_does_not_fit_is_refused(
    stage_options: Run, tiny: Path, clustered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: dict[str, tuple[str, dict[str, object]]] = {
        "has no semantic clusters": ("semantic", {"spectrogram": tiny / "spectrogram"}),
        "coarse_levels is 2; the VQ-VAE has 2": ("fine", {"coarse_levels": "2"}),
        "window is 30; it must be a multiple of 4": ("coarse", {"window": "30"}),
        "codebook_size is 8, but 32 in the checkpoint": ("acoustic", {"codebook_size": "8"}),
        "did you mean --stage": ("acoustic", {"stage": "fine"}),
    }
    for number, (told, (stage, more)) in enumerate(wrong.items()):
        if "spectrogram" not in more:
            more = {"overrides": STAGES[stage] | more}  # type: ignore[dict-item]
        with pytest.raises(AudiomaskError, match=told):
            train_kind("lm", stage_options(stage, f"{number}", **more))
    monkeypatch.setattr("audiomask.training.run.bundled_folder", lambda: tiny / "none")
    with pytest.raises(UsageError, match="no spectrogram model comes with audiomask"):
        train_kind("lm", stage_options("semantic", "none", spectrogram=None))
