"""Whole runs of every kind: from options to checkpoints that belong together and work."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from run_settings import MASKS, MLM, PAPER, SPECTROGRAM, VQVAE
from safetensors.torch import load_file

from audiomask.audio.source import MemorySource
from audiomask.checkpoint import load_checkpoint, load_weights, restore
from audiomask.engine import Engine
from audiomask.errors import CheckpointError, ConfigError, UsageError
from audiomask.infill.gaps import Gap
from audiomask.infill.settings import InfillSettings
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.vqvae.model import VQVAE as VQVAEModel
from audiomask.training.band_sums import MasksBatch
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_kind
from audiomask.training.tasks import vqvae as module
from audiomask.training.tasks.masks import MasksTask
from audiomask.training.teacher import TEACHER


def test_a_vqvae_then_an_mlm_on_its_tokens(options: Callable[..., TrainOptions]) -> None:
    first = options("vqvae", overrides=VQVAE)
    assert train_kind("vqvae", first) == 2
    vqvae = load_checkpoint(first.out, "vqvae")
    assert vqvae.preset == "default"
    assert vqvae.config["codebook_size"] == 8
    assert (vqvae.notes["step"], vqvae.notes["data"]) == (2, [first.data[0].name])
    assert vqvae.requires == {}
    second = options("mlm", overrides=MLM, vqvae=first.out)
    assert train_kind("mlm", second) == 2
    mlm = load_checkpoint(second.out, "mlm")
    assert mlm.requires == {"vqvae": vqvae.fingerprint}
    config = MLMConfig(**mlm.config)
    assert (config.levels, config.codebook_size, config.code_dim) == (2, 8, 4)
    assert (config.hop_length, config.sample_rate, config.window) == (512, 44_100, 40)
    # it embeds the very vectors of the VQ-VAE
    assert torch.equal(mlm.tensors["codebooks"][1], vqvae.tensors["quantizer.codebooks.1.vectors"])
    model = build_mlm(mlm.preset, mlm.config)
    load_weights(model, mlm)


def test_an_mlm_of_the_first_levels(options: Callable[..., TrainOptions], tmp_path: Path) -> None:
    first = options("vqvae", overrides=VQVAE)
    train_kind("vqvae", first)
    second = options("mlm", overrides=MLM | {"levels": "1"}, vqvae=first.out)
    train_kind("mlm", second)
    vqvae = restore(load_checkpoint(first.out, "vqvae"))
    mlm = load_checkpoint(second.out, "mlm")
    assert mlm.config["levels"] == 1
    # the embeddings are kept in half precision
    assert torch.allclose(mlm.tensors["codebooks"].float(), vqvae.codebooks()[:1], atol=1e-2)
    # going on from it keeps to its levels
    third = options("more", init=second.out, vqvae=first.out)
    train_kind("mlm", third)
    assert load_checkpoint(third.out, "mlm").config["levels"] == 1
    # and it fills gaps and separates by its tokens
    engine = Engine(second.out)
    source = MemorySource(0.1 * torch.randn(2, 44_100), 44_100)
    (patch,) = engine.infill(source, [Gap(20_000, 22_000)], InfillSettings("tokens"))
    assert patch.samples.isfinite().all()
    for method in ("wiener", "tokens"):
        parts = engine.separate(source, ["guitar"], method=method)
        assert torch.cat([part["guitar"] for part in parts], dim=1).shape == (2, 44_100)
    with pytest.raises(ConfigError, match="levels is 3; the VQ-VAE has 2"):
        train_kind("mlm", options("most", overrides=MLM | {"levels": "3"}, vqvae=first.out))


def test_one_level_and_an_mlm_on_its_tokens(options: Callable[..., TrainOptions]) -> None:
    tiny = {name: VQVAE[name] for name in VQVAE if name not in ("levels", "codebook_size")}
    first = options("vqvae", preset="one-level", overrides=tiny)
    assert train_kind("vqvae", first) == 2
    vqvae = load_checkpoint(first.out, "vqvae")
    assert vqvae.preset == "one-level"
    assert (vqvae.config["levels"], vqvae.config["codebook_size"]) == (1, 4096)
    model = restore(vqvae).eval()
    codes = model.encode(0.1 * torch.randn(1, 20 * 512))
    assert codes.shape == (1, 1, 20)
    second = options("mlm", overrides=MLM, vqvae=first.out, steps=1)
    train_kind("mlm", second)
    mlm = load_checkpoint(second.out, "mlm")
    assert (mlm.config["levels"], mlm.config["codebook_size"]) == (1, 4096)


def test_the_papers_pair(options: Callable[..., TrainOptions]) -> None:
    first = options("vqvae", preset="paper", overrides=PAPER, steps=1)
    train_kind("vqvae", first)
    vqvae = load_checkpoint(first.out, "vqvae")
    assert (vqvae.preset, vqvae.config["blocks"]) == ("paper", 6)
    second = options(
        "mlm", preset="paper", vqvae=first.out, steps=1,
        overrides={"dim": "8", "heads": "2", "layers": "1", "window": "101"},
    )  # fmt: skip
    train_kind("mlm", second)
    mlm = load_checkpoint(second.out, "mlm")
    assert (mlm.preset, mlm.config["layout"]) == ("paper", "concatenated")
    assert (mlm.config["levels"], mlm.config["hop_length"]) == (1, 64)


def test_the_default_vqvae_starts_from_the_data(
    options: Callable[..., TrainOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(VQVAEModel, "init_from_pca", lambda self, audio: heard.append(audio))
    train_kind("vqvae", options("a", overrides=VQVAE, steps=1))
    assert len(heard) == 1
    assert heard[0].shape[0] == module.EXAMPLES * module.CROPS
    assert heard[0].abs().amax() > 1e-3
    train_kind("vqvae", options("b", init=options("a").out, steps=1))
    train_kind("vqvae", options("a", overrides=VQVAE, resume=True, steps=1))
    train_kind("vqvae", options("c", preset="paper", overrides=PAPER, steps=1))
    assert len(heard) == 1


def test_masks_train_and_separate(options: Callable[..., TrainOptions]) -> None:
    run = options("masks", overrides=MASKS)
    assert train_kind("masks", run) == 2
    found = load_checkpoint(run.out, "masks")
    assert (found.preset, found.requires) == ("default", {})
    assert (found.notes["step"], found.notes["data"]) == (2, [run.data[0].name])
    config = MasksConfig(**found.config)
    assert (config.bands, config.channels, config.window) == (16, (4, 6), 20)
    # the running statistics of what it saw are in it
    assert found.tensors["down.0.0.norm.running_mean"].abs().max() > 0
    engine = Engine(run.out)
    assert engine.kinds == ("masks",)
    source = MemorySource(0.1 * torch.randn(2, 44_100), 44_100)
    parts = list(engine.separate(source, ["guitar"], residual=True))
    found_stem = torch.cat([part["guitar"] for part in parts], dim=1)
    rest = torch.cat([part["residual"] for part in parts], dim=1)
    assert torch.allclose(found_stem + rest, source.read(0, 44_100), atol=1e-6)


def test_masks_that_are_killed_and_resumed_end_as_a_whole_run(
    options: Callable[..., TrainOptions],
) -> None:
    learned, count = MasksTask.loss, 0

    def killed(self: MasksTask, batch: MasksBatch) -> Any:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return learned(self, batch)

    given = {"overrides": MASKS, "steps": 5, "save_every": 2}
    train_kind("masks", options("whole", **given))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MasksTask, "loss", killed)
        with pytest.raises(KeyboardInterrupt):
            train_kind("masks", options("parts", **given))
    assert load_checkpoint(options("parts").out).notes["step"] == 2
    assert train_kind("masks", options("parts", resume=True, **given)) == 5
    whole, parts = (load_file(options(n).out / "state.safetensors") for n in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        if name.startswith("model/"):
            assert torch.equal(parts[name], value), name


def test_masks_are_gone_on_from(options: Callable[..., TrainOptions]) -> None:
    first = options("first", overrides=MASKS)
    train_kind("masks", first)
    second = options("second", init=first.out, steps=1, overrides={"learning_rate": "0"})
    assert train_kind("masks", second) == 1
    found, expected = load_checkpoint(second.out), load_checkpoint(first.out)
    assert found.config == expected.config
    for name in ("scores.weight", "down.0.0.norm.weight"):
        torch.testing.assert_close(found.tensors[name], expected.tensors[name], rtol=0, atol=1e-3)


def test_masks_learn_from_recordings_without_stems(
    options: Callable[..., TrainOptions], sound: Callable[..., Path], tmp_path: Path
) -> None:
    first = options("first", overrides=MASKS)
    train_kind("masks", first)
    for name in range(3):
        sound(tmp_path / f"records/train/{name}.wav", 1.0, level=0.2)

    def run(name: str, **more: Any) -> TrainOptions:
        made = options(name, steps=4, batch_size=6, **more)
        return replace(made, data=(*first.data, tmp_path / "records"))

    with pytest.raises(UsageError, match="records: recordings without stems are learned from"):
        train_kind("masks", run("none", overrides=MASKS))
    logged = {"log_every": "1"}
    second = run("second", init=first.out, overrides=logged, max_time=1e-9)
    assert train_kind("masks", second) < 4
    copy, origin = (load_checkpoint(place) for place in (second.out / TEACHER, first.out))
    assert copy.kind == "masks"
    assert all(torch.equal(copy.tensors[name], value) for name, value in origin.tensors.items())
    # it is what is read when the run is resumed
    shutil.rmtree(first.out)
    assert train_kind("masks", run("second", overrides=MASKS | logged, resume=True)) == 4
    entries = [json.loads(line) for line in (second.out / "log.jsonl").read_text().splitlines()]
    assert any("remix" in entry for entry in entries)


@pytest.mark.parametrize(
    ("preset", "tensors"), [("default", 24), ("mockingjay", 20), ("audio-albert", 20)]
)
def test_masks_start_from_layers_of_a_spectrogram_model(
    options: Callable[..., TrainOptions],
    capsys: pytest.CaptureFixture[str],
    preset: str,
    tensors: int,
) -> None:
    first = options("spectrogram", preset=preset, overrides=SPECTROGRAM, steps=1)
    train_kind("spectrogram", first)
    overrides = MASKS | {"learning_rate": "0", "layers": "3"}
    second = replace(options("masks", init=first.out, overrides=overrides, steps=1), quiet=False)
    assert train_kind("masks", second) == 1
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if "start the transformer" in line]
    assert told == [
        f"{first.out}: layers 1 to 2 of 2 start the transformer of the mask U-Net "
        f"({tensors} of its 36 tensors); all else is random"
    ]
    before, found = load_checkpoint(first.out), load_checkpoint(second.out, "masks")
    assert (found.preset, found.config["dim"], found.requires) == ("default", 8, {})
    stored = 1 if before.config["share_layers"] else 2
    for number in range(2):
        for name in ("attention.qkv.weight", "expand.weight", "feed_norm.bias"):
            value = before.tensors[f"transformer.layers.{number % stored}.{name}"]
            now = found.tensors[f"transformer.layers.{number}.{name}"]
            torch.testing.assert_close(now, value, rtol=0, atol=1e-3)
    # the third layer, which the spectrogram model has not, is its own
    third, second_layer = (
        found.tensors[f"transformer.layers.{number}.expand.weight"] for number in (2, 1)
    )
    assert not torch.allclose(third, second_layer, atol=1e-2)


def test_a_spectrogram_model_of_another_size_is_refused(
    options: Callable[..., TrainOptions],
) -> None:
    first = options("spectrogram", overrides=SPECTROGRAM, steps=1)
    train_kind("spectrogram", first)
    for name, change in (("dim", "16"), ("heads", "4")):
        second = options(name, init=first.out, overrides=MASKS | {name: change})
        with pytest.raises(CheckpointError, match=r"nothing of this spectrogram model fits: its l"):
            train_kind("masks", second)
        assert not (second.out / "config.json").exists()
    second = options("none", init=first.out, overrides=MASKS | {"layers": "0"})
    with pytest.raises(CheckpointError, match="has no layers to start from it"):
        train_kind("masks", second)
    # and no other kind takes from it
    with pytest.raises(CheckpointError, match="is a checkpoint of kind spectrogram, not vqvae"):
        train_kind("vqvae", options("vqvae", init=first.out, overrides=VQVAE))
