"""Whole runs on data of every sort: banks, songs, shards, kept tokens, what is held out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_settings import MASKS, MLM, VQVAE
from safetensors.torch import load_file

from audiomask.checkpoint import load_checkpoint
from audiomask.errors import ConfigError, DataError, UsageError
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_kind


def test_no_data_is_said_before_anything_is_written(options: Callable[..., TrainOptions]) -> None:
    run = TrainOptions(data=(Path("nowhere"),), out=options("a").out, overrides=VQVAE)
    with pytest.raises(DataError, match="nowhere"):
        train_kind("vqvae", run)
    assert not run.out.exists()


@pytest.mark.slow
def test_held_out_songs_and_instruments_validate(
    options: Callable[..., TrainOptions], bank: Path, tmp_path: Path
) -> None:
    shutil.copytree(bank, tmp_path / "data" / "train")
    shutil.copytree(bank / "piano", tmp_path / "data" / "validation" / "piano")
    run = replace(options("vqvae", overrides=VQVAE, validate_every=1), data=(tmp_path / "data",))
    train_kind("vqvae", run)
    entries = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    losses = {e["step"]: e["validation_loss"] for e in entries if "validation_loss" in e}
    assert losses.keys() == {1, 2}
    best = load_checkpoint(run.out / "best", "vqvae")
    assert best.notes["step"] == min(losses, key=lambda step: losses[step])
    for kind, settings in (("mlm", MLM), ("masks", MASKS)):
        other = options(kind, overrides=settings, vqvae=run.out if kind == "mlm" else None)
        train_kind(kind, replace(other, data=run.data))
        best = load_checkpoint(other.out / "best", kind)
        assert best.notes["step"] == 2
        assert best.requires == load_checkpoint(other.out).requires
    # a bank with nothing held out cannot tell
    third = options("c", overrides=VQVAE)
    train_kind("vqvae", third)
    assert not (third.out / "best").exists()


@pytest.mark.slow
def test_tokens_are_kept_and_trained_on(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    train_kind("vqvae", options("vqvae", overrides=VQVAE, steps=1))
    more = {"overrides": MLM, "vqvae": tmp_path / "vqvae", "cache": tmp_path / "cache"}
    first = options("a", keep_tokens=3, **more)
    assert train_kind("mlm", first) == 2
    (tokens,) = (tmp_path / "cache").glob("tokens-*")
    manifest = json.loads((tokens / "manifest.json").read_text())
    assert manifest["vqvae"] == load_checkpoint(tmp_path / "vqvae").fingerprint
    assert len(list(tokens.glob("*.safetensors"))) == 3
    # a second run pays for the encoder no more, and ends with the same weights
    with pytest.MonkeyPatch.context() as patch:
        for module in ("tasks.mlm", "stem_tokens"):
            patch.setattr(f"audiomask.training.{module}.encode", lambda *_: pytest.fail("again"))
        second = options("b", keep_tokens=3, **more)
        train_kind("mlm", second)
    a, b = (load_file(run.out / "state.safetensors") for run in (first, second))
    assert all(torch.equal(a[name], b[name]) for name in a)
    # another VQ-VAE has tokens of its own
    train_kind("vqvae", options("other", overrides=VQVAE, steps=1, seed=1))
    train_kind("mlm", options("c", keep_tokens=3, **more | {"vqvae": tmp_path / "other"}))
    assert len(list((tmp_path / "cache").glob("tokens-*"))) == 2
    for kind in ("vqvae", "masks"):
        with pytest.raises(UsageError, match=f"--keep-tokens is not for 'train {kind}'"):
            train_kind(kind, options("d", keep_tokens=3))


@pytest.mark.slow
def test_songs_are_packed_and_trained_on(
    options: Callable[..., TrainOptions], slakh: Callable[..., Path], tmp_path: Path
) -> None:
    for _ in range(2):
        folder = slakh({"S00": (25, False), "S01": (33, False)}, seconds=6.0)
    (folder / "train").mkdir()
    (folder / "validation").mkdir()
    for split, track in (("train", "Track00001"), ("validation", "Track00002")):
        (folder / track).rename(folder / split / track)
    packing = replace(options("a", pack=tmp_path / "shards"), data=(folder,))
    assert train_kind("mlm", packing) == 0
    assert not packing.out.exists()
    assert list((tmp_path / "shards").rglob("*.tar"))
    packed = replace(options("b", overrides=VQVAE), data=(tmp_path / "shards",))
    assert train_kind("vqvae", packed) == 2
    assert load_checkpoint(packed.out).notes["data"] == ["shards"]
    assert load_checkpoint(packed.out / "best").notes["step"] == 2  # what is held out validates


def test_songs_on_disk_train_all_models(
    options: Callable[..., TrainOptions], slakh: Callable[..., Path]
) -> None:
    for _ in range(2):
        folder = slakh({"S00": (25, False), "S01": (33, False), "S02": (48, False)}, seconds=2.0)
    first = replace(options("vqvae", overrides=VQVAE, workers=1), data=(folder,))
    assert train_kind("vqvae", first) == 2
    settings = MLM | {"stems": "guitar,bass", "pitch_tempo_prob": "1", "effects_prob": "1"}
    second = options("mlm", overrides=settings, vqvae=first.out, workers=1)
    assert train_kind("mlm", replace(second, data=(folder,))) == 2
    assert tuple(load_checkpoint(second.out).config["stems"]) == ("guitar", "bass")
    third = options("masks", overrides=MASKS | {"stems": "guitar,bass"}, workers=1)
    assert train_kind("masks", replace(third, data=(folder,))) == 2
    assert tuple(load_checkpoint(third.out).config["stems"]) == ("guitar", "bass")
    with pytest.raises(DataError, match=r"no piano in the data.*--set stems=bass,guitar"):
        train_kind("mlm", replace(options("b", overrides=MLM, vqvae=first.out), data=(folder,)))
    with pytest.raises(ConfigError, match="random_mixing is 2"):
        train_kind("vqvae", options("c", overrides=VQVAE | {"random_mixing": "2"}))
