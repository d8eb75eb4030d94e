"""Whole runs of the spectrogram model: presets, resumption, and clusters of its own layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from run_settings import SPECTROGRAM
from safetensors.torch import load_file

from audiomask.checkpoint import load_checkpoint, restore
from audiomask.errors import AudiomaskError, CheckpointError, ConfigError
from audiomask.networks.spectrogram import PRESETS
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_kind
from audiomask.training.tasks import spectrogram as module
from audiomask.training.teacher import TEACHER


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMPLES", 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_trained_resumed_and_read(
    preset: str, options: Callable[..., TrainOptions]
) -> None:
    given = {"overrides": SPECTROGRAM, "preset": preset}
    whole = options("whole", steps=3, **given)
    assert train_kind("spectrogram", whole) == 3
    # the learning rate is planned over the steps: it stops as if it was interrupted
    parts = options("parts", steps=3, max_time=1e-9, **given)
    assert train_kind("spectrogram", parts) < 3
    assert train_kind("spectrogram", options("parts", steps=3, resume=True, **given)) == 3
    states = [load_file(run.out / "state.safetensors") for run in (whole, parts)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if name.startswith("model/"):
            assert torch.equal(states[1][name], value), name
    found = load_checkpoint(whole.out, "spectrogram")
    assert (found.preset, found.requires) == (preset, {})
    model = restore(found)
    assert model.config.window == 24
    if model.config.targets != "none":
        assert len(model.target_clusters.centers.unique(dim=0)) == 4


def test_the_clusters_are_those_of_the_data(options: Callable[..., TrainOptions]) -> None:
    runs = [options(name, overrides=SPECTROGRAM, steps=1) for name in "ab"]
    for run in runs:
        train_kind("spectrogram", run)
    first, second = (load_checkpoint(run.out).tensors["target_clusters.centers"] for run in runs)
    assert torch.equal(first, second)
    # whoever goes on from it keeps them
    third = options("c", init=runs[0].out, seed=5, steps=1)
    train_kind("spectrogram", third)
    assert torch.equal(load_checkpoint(third.out).tensors["target_clusters.centers"], first)
    # other excerpts would make others
    fourth = options("d", overrides=SPECTROGRAM, seed=5, steps=1)
    train_kind("spectrogram", fourth)
    assert not torch.equal(load_checkpoint(fourth.out).tensors["target_clusters.centers"], first)


def test_going_on_from_a_checkpoint_takes_what_fits(options: Callable[..., TrainOptions]) -> None:
    first = options("first", preset="mockingjay", overrides=SPECTROGRAM)
    train_kind("spectrogram", first)
    changed = {"learning_rate": "0", "continuation_prob": "0.5", "targets": "mfcc"}
    second = options("second", init=first.out, overrides=changed)
    assert train_kind("spectrogram", second) == 2
    old, new = load_checkpoint(first.out), load_checkpoint(second.out)
    assert new.preset == "mockingjay"
    assert new.config == old.config | {"continuation_prob": 0.5, "targets": "mfcc"}
    for name, value in old.tensors.items():
        # semantic clusters are found anew
        assert name.startswith("semantic") or torch.equal(new.tensors[name], value), name
    assert new.tensors["target_clusters.centers"].any()
    assert "continuation.0.weight" in new.tensors
    wider = options("third", init=first.out, overrides={"dim": "16"})
    with pytest.raises(CheckpointError, match=r"tensor 'linear_in.bias' is \(8,\)"):
        train_kind("spectrogram", wider)


def test_then_clusters_are_of_its_own_layer(options: Callable[..., TrainOptions]) -> None:
    first = options("first", preset="hubert", overrides=SPECTROGRAM)
    train_kind("spectrogram", first)
    own: dict[str, Any] = {"overrides": {"targets": "layer", "clusters": "5"}}
    second = options("second", init=first.out, steps=4, max_time=1e-9, **own)
    assert train_kind("spectrogram", second) < 4
    taught = load_checkpoint(second.out)
    assert taught.config["targets"] == "layer"
    assert taught.tensors["target_clusters.centers"].shape == (5, 8)
    assert taught.tensors["clusters.weight"].shape == (5, 8)
    # the layer is that of the checkpoint that it started from, also when that is gone
    copy, origin = load_checkpoint(second.out / TEACHER), load_checkpoint(first.out)
    assert copy.config == origin.config
    assert all(torch.equal(copy.tensors[name], value) for name, value in origin.tensors.items())
    (first.out / "config.json").unlink()
    settings = {"overrides": SPECTROGRAM | own["overrides"], "preset": "hubert"}
    again = options("second", steps=4, resume=True, **settings)
    assert train_kind("spectrogram", again) == 4
    kept = load_checkpoint(second.out).tensors["target_clusters.centers"]
    assert torch.equal(kept, taught.tensors["target_clusters.centers"])
    (second.out / TEACHER / "config.json").unlink()
    with pytest.raises(CheckpointError, match=f"{TEACHER}: not a checkpoint folder"):
        train_kind("spectrogram", again)


def test_a_layer_is_of_a_checkpoint(options: Callable[..., TrainOptions]) -> None:
    run = options("a", overrides=SPECTROGRAM | {"targets": "layer"})
    with pytest.raises(ConfigError, match="targets is layer; name the checkpoint"):
        train_kind("spectrogram", run)


def test_targets_are_codes_of_a_vqvae(
    options: Callable[..., TrainOptions], tiny: Path, tmp_path: Path
) -> None:
    given = {"overrides": SPECTROGRAM | {"targets": "vqvae", "clusters": "32"}, "preset": "hubert"}
    named = options("a", steps=4, max_time=1e-9, vqvae=tiny / "vqvae", **given)
    assert train_kind("spectrogram", named) < 4
    found = load_checkpoint(named.out, "spectrogram")
    assert found.tensors["clusters.weight"].shape == (32, 8)
    assert not any(name.startswith("target_clusters") for name in found.tensors)
    # the VQ-VAE is copied, so that the run goes on without it
    copy, origin = load_checkpoint(named.out / TEACHER), load_checkpoint(tiny / "vqvae")
    assert copy.fingerprint == origin.fingerprint
    assert train_kind("spectrogram", options("a", steps=4, resume=True, **given)) == 4


def test_a_vqvae_that_does_not_fit_is_refused(
    options: Callable[..., TrainOptions], tiny: Path
) -> None:
    vqvae = tiny / "vqvae"
    wrong = {
        "it has 32 codes: --set clusters=32": {"targets": "vqvae"},
        "do not make frames of 1000": {"targets": "vqvae", "clusters": "32", "hop_length": "1000"},
        "add --set targets=vqvae": {},
    }
    for number, (told, settings) in enumerate(wrong.items()):
        run = options(f"{number}", overrides=SPECTROGRAM | settings, vqvae=vqvae)
        with pytest.raises(AudiomaskError, match=told.replace("it has", "VQ-VAE has")):
            train_kind("spectrogram", run)


def test_semantic_clusters_are_found_when_a_run_ends(options: Callable[..., TrainOptions]) -> None:
    run = options("a", overrides=SPECTROGRAM)
    train_kind("spectrogram", run)
    found = load_checkpoint(run.out, "spectrogram")
    centers = found.tensors["semantic_clusters.centers"]
    assert centers.shape == (6, 8)
    assert len(centers.unique(dim=0)) == 6
    assert found.notes["step"] == 2
    # all else is what the run saved
    state = load_file(run.out / "state.safetensors")
    for name, value in found.tensors.items():
        if not name.startswith("semantic"):
            average = state[f"average/{name}"]
            assert torch.equal(value, average.half() if average.dim() > 1 else average), name
