"""Whole runs on a tiny bank: from options to checkpoints that belong together."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from audiomask.audio.source import MemorySource
from audiomask.checkpoint import bundled_folder, load_checkpoint, load_weights, restore
from audiomask.engine import Engine
from audiomask.errors import CheckpointError, ConfigError, DataError, UsageError
from audiomask.infill.gaps import Gap
from audiomask.infill.settings import InfillSettings
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.vqvae import build_vqvae
from audiomask.networks.vqvae.model import VQVAE as VQVAEModel
from audiomask.training import run as module
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_mlm, train_vqvae
from audiomask.training.runfile import read_run
from audiomask.training.state import seconds_spent
from audiomask.training.tasks.vqvae import VQVAETask

VQVAE = {
    "encoder_dim": "8", "encoder_blocks": "1", "decoder_dim": "8", "decoder_blocks": "1",
    "levels": "2", "codebook_size": "8", "code_dim": "4",
}  # fmt: skip
PAPER = {"blocks": "6", "channels": "4", "codebook_size": "8", "code_dim": "4"}
MLM = {"dim": "8", "heads": "2", "layers": "1", "bands": "16", "band_stft": "1024", "window": "40"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Excerpts of half a second, two crops of each: the runs are about wiring."""
    monkeypatch.setattr(module, "EXCERPT_SECONDS", 0.8)
    monkeypatch.setattr(module, "CROPS", 2)
    monkeypatch.setattr(module, "EXAMPLES", 4)


@pytest.fixture
def options(bank: Path, tmp_path: Path) -> Callable[..., TrainOptions]:
    """``options("a", steps=2)``: a run into a folder, on the bank."""

    def make(name: str, **more: object) -> TrainOptions:
        given = {"steps": 2, "batch_size": 2, "precision": "fp32", "device": "cpu"} | more
        return TrainOptions(data=(bank,), out=tmp_path / name, quiet=True, **given)

    return make


def test_an_mlm_of_the_first_levels(options: Callable[..., TrainOptions], tmp_path: Path) -> None:
    first = options("vqvae", overrides=VQVAE)
    train_vqvae(first)
    second = options("mlm", overrides=MLM | {"levels": "1"}, vqvae=first.out)
    train_mlm(second)
    vqvae = restore(load_checkpoint(first.out, "vqvae"), build_vqvae)
    mlm = load_checkpoint(second.out, "mlm")
    assert mlm.config["levels"] == 1
    # the embeddings are kept in half precision
    assert torch.allclose(mlm.tensors["codebooks"].float(), vqvae.codebooks()[:1], atol=1e-2)
    # going on from it keeps to its levels
    third = options("more", init=second.out, vqvae=first.out)
    train_mlm(third)
    assert load_checkpoint(third.out, "mlm").config["levels"] == 1
    # and it fills gaps and separates
    engine = Engine(second.out)
    source = MemorySource(0.1 * torch.randn(2, 44_100), 44_100)
    (patch,) = engine.infill(source, [Gap(20_000, 22_000)], InfillSettings("tokens"))
    assert patch.samples.isfinite().all()
    found = torch.cat([part["guitar"] for part in engine.separate(source, ["guitar"])], dim=1)
    assert found.shape == (2, 44_100)
    with pytest.raises(ConfigError, match="levels is 3; the VQ-VAE has 2"):
        train_mlm(options("most", overrides=MLM | {"levels": "3"}, vqvae=first.out))


def test_the_default_vqvae_starts_from_the_data(
    options: Callable[..., TrainOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(VQVAEModel, "start", lambda self, audio: heard.append(audio))
    train_vqvae(options("a", overrides=VQVAE, steps=1))
    assert len(heard) == 1
    assert heard[0].shape[0] == module.EXAMPLES * module.CROPS
    assert heard[0].abs().amax() > 1e-3
    train_vqvae(options("b", init=options("a").out, steps=1))
    train_vqvae(options("a", overrides=VQVAE, resume=True, steps=1))
    train_vqvae(options("c", preset="paper", overrides=PAPER, steps=1))
    assert len(heard) == 1


def test_a_vqvae_then_an_mlm_on_its_tokens(options: Callable[..., TrainOptions]) -> None:
    first = options("vqvae", overrides=VQVAE)
    assert train_vqvae(first) == 2
    vqvae = load_checkpoint(first.out, "vqvae")
    assert vqvae.preset == "default"
    assert vqvae.config["codebook_size"] == 8
    assert (vqvae.notes["step"], vqvae.notes["data"]) == (2, [first.data[0].name])
    second = options("mlm", overrides=MLM, vqvae=first.out)
    assert train_mlm(second) == 2
    mlm = load_checkpoint(second.out, "mlm")
    assert mlm.notes["vqvae"] == vqvae.fingerprint
    config = MLMConfig(**mlm.config)
    assert (config.levels, config.codebook_size, config.code_dim) == (2, 8, 4)
    assert (config.hop_length, config.sample_rate, config.window) == (512, 44_100, 40)
    # it embeds the very vectors of the VQ-VAE
    assert torch.equal(mlm.tensors["codebooks"][1], vqvae.tensors["quantiser.codebooks.1.vectors"])
    model = build_mlm(mlm.preset, mlm.config)
    load_weights(model, mlm)


def test_one_level_and_an_mlm_on_its_tokens(options: Callable[..., TrainOptions]) -> None:
    tiny = {name: VQVAE[name] for name in VQVAE if name not in ("levels", "codebook_size")}
    first = options("vqvae", preset="one-level", overrides=tiny)
    assert train_vqvae(first) == 2
    vqvae = load_checkpoint(first.out, "vqvae")
    assert vqvae.preset == "one-level"
    assert (vqvae.config["levels"], vqvae.config["codebook_size"]) == (1, 4096)
    model = restore(vqvae, build_vqvae).eval()
    codes = model.encode(0.1 * torch.randn(1, 20 * 512))
    assert codes.shape == (1, 1, 20)
    second = options("mlm", overrides=MLM, vqvae=first.out, steps=1)
    train_mlm(second)
    mlm = load_checkpoint(second.out, "mlm")
    assert (mlm.config["levels"], mlm.config["codebook_size"]) == (1, 4096)


def test_the_papers_pair(options: Callable[..., TrainOptions]) -> None:
    first = options("vqvae", preset="paper", overrides=PAPER, steps=1)
    train_vqvae(first)
    vqvae = load_checkpoint(first.out, "vqvae")
    assert (vqvae.preset, vqvae.config["blocks"]) == ("paper", 6)
    second = options(
        "mlm", preset="paper", vqvae=first.out, steps=1,
        overrides={"dim": "8", "heads": "2", "layers": "1", "window": "101"},
    )  # fmt: skip
    train_mlm(second)
    mlm = load_checkpoint(second.out, "mlm")
    assert (mlm.preset, mlm.config["layout"]) == ("paper", "concatenated")
    assert (mlm.config["levels"], mlm.config["hop_length"]) == (1, 64)


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
        train_vqvae(options("a", resume=True, files=(file,), **asked))

    train_vqvae(options("a", overrides=VQVAE, steps=None, max_time=1e-3))
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
    train_vqvae(options("b", overrides=VQVAE, steps=1, max_time=60.0))
    assert read_run(options("b").out / "run.toml", "vqvae").options["steps"] == 1


def test_another_run_is_not_overwritten_but_resumed(options: Callable[..., TrainOptions]) -> None:
    first = options("a", overrides=VQVAE, steps=1)
    train_vqvae(first)
    before = load_file(first.out / "state.safetensors")
    with pytest.raises(UsageError, match="--resume"):
        train_vqvae(first)
    assert train_vqvae(options("a", overrides=VQVAE, steps=2, resume=True)) == 2
    after = load_file(first.out / "state.safetensors")
    assert not torch.equal(before["model/head.weight"], after["model/head.weight"])
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train_vqvae(options("b", overrides=VQVAE, resume=True))


def test_the_seed_decides_the_first_weights(options: Callable[..., TrainOptions]) -> None:
    heads = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(7)  # whatever was drawn before
        train_vqvae(options(name, overrides=VQVAE, steps=1, seed=seed))
        heads.append(load_file(options(name).out / "state.safetensors")["model/head.weight"])
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_training_goes_on_from_a_checkpoint(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    start = build_vqvae("paper", {key: int(value) for key, value in PAPER.items()})
    VQVAETask(start, "paper", {}).save(tmp_path / "start", start.state_dict(), {})
    # the checkpoint says what it is, and its settings may be changed
    run = options(
        "a", init=tmp_path / "start", steps=1, overrides={"learning_rate": "0", "commitment": "0.5"}
    )
    train_vqvae(run)
    found = load_checkpoint(run.out, "vqvae")
    assert found.preset == "paper"
    assert found.config["commitment"] == 0.5
    expected = load_checkpoint(tmp_path / "start").tensors
    name = "decoder.0.weight"
    assert torch.equal(found.tensors[name], expected[name])
    with pytest.raises(CheckpointError, match="kind vqvae"):
        train_mlm(options("b", init=tmp_path / "start", vqvae=tmp_path / "start"))


def test_no_data_is_said_before_anything_is_written(options: Callable[..., TrainOptions]) -> None:
    run = TrainOptions(data=(Path("nowhere"),), out=options("a").out, overrides=VQVAE)
    with pytest.raises(DataError, match="nowhere"):
        train_vqvae(run)
    assert not run.out.exists()


def test_a_dry_run_shows_and_trains_nothing(
    options: Callable[..., TrainOptions], capsys: pytest.CaptureFixture[str]
) -> None:
    for train, settings in ((train_vqvae, VQVAE), (train_mlm, MLM)):
        run = replace(options(train.__name__, overrides=settings, dry_run=True), quiet=False)
        assert train(run) == 0
        assert [path.name for path in run.out.iterdir()] == ["dry-run"]
        shown = run.out / "dry-run"
        assert (shown / "index.html").is_file()
        assert (shown / "spectrograms.png").is_file()
        assert len(list(shown.glob("*-mixture.wav"))) == 6
        told = capsys.readouterr().err
        assert "note bank" in told
        assert "guitar 2" in told
        assert "nothing was trained" in told


def test_tokens_are_kept_and_trained_on(
    options: Callable[..., TrainOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_vqvae(options("vqvae", overrides=VQVAE, steps=1))
    more = {"overrides": MLM, "vqvae": tmp_path / "vqvae", "cache": tmp_path / "cache"}
    first = options("a", keep_tokens=3, **more)
    assert train_mlm(first) == 2
    (tokens,) = (tmp_path / "cache").glob("tokens-*")
    manifest = json.loads((tokens / "manifest.json").read_text())
    assert manifest["vqvae"] == load_checkpoint(tmp_path / "vqvae").fingerprint
    assert len(list(tokens.glob("*.safetensors"))) == 3
    # a second run pays for the encoder no more, and ends with the same weights
    monkeypatch.setattr(
        "audiomask.training.tasks.mlm.encode", lambda *_: pytest.fail("coded again")
    )
    monkeypatch.setattr(
        "audiomask.training.token_cache.encode", lambda *_: pytest.fail("coded again")
    )
    second = options("b", keep_tokens=3, **more)
    train_mlm(second)
    a, b = (load_file(run.out / "state.safetensors") for run in (first, second))
    assert all(torch.equal(a[name], b[name]) for name in a)
    monkeypatch.undo()
    monkeypatch.setattr(module, "EXCERPT_SECONDS", 0.8)
    monkeypatch.setattr(module, "CROPS", 2)
    # another VQ-VAE has tokens of its own
    train_vqvae(options("other", overrides=VQVAE, steps=1, seed=1))
    train_mlm(options("c", keep_tokens=3, **more | {"vqvae": tmp_path / "other"}))
    assert len(list((tmp_path / "cache").glob("tokens-*"))) == 2


def test_held_out_songs_and_instruments_validate(
    options: Callable[..., TrainOptions], bank: Path, tmp_path: Path
) -> None:
    shutil.copytree(bank, tmp_path / "data" / "train")
    shutil.copytree(bank / "piano", tmp_path / "data" / "validation" / "piano")
    run = replace(options("vqvae", overrides=VQVAE, validate_every=1), data=(tmp_path / "data",))
    train_vqvae(run)
    entries = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    losses = {e["step"]: e["validation_loss"] for e in entries if "validation_loss" in e}
    assert losses.keys() == {1, 2}
    best = load_checkpoint(run.out / "best", "vqvae")
    assert best.notes["step"] == min(losses, key=lambda step: losses[step])
    second = options("mlm", overrides=MLM, vqvae=run.out)
    train_mlm(replace(second, data=run.data))
    assert load_checkpoint(second.out / "best", "mlm").notes["step"] == 2
    # a bank with nothing held out cannot tell
    third = options("c", overrides=VQVAE)
    train_vqvae(third)
    assert not (third.out / "best").exists()


def test_a_run_goes_on_only_as_it_began(options: Callable[..., TrainOptions]) -> None:
    train_vqvae(options("a", overrides=VQVAE, steps=1))
    with pytest.raises(UsageError, match=r"seed is 4, and was 0 when the run began"):
        train_vqvae(options("a", overrides=VQVAE, steps=2, seed=4, resume=True))
    assert train_vqvae(options("a", overrides=VQVAE, steps=2, resume=True)) == 2


def test_the_bundled_models_can_be_gone_on_from(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    still = {"learning_rate": "0", "warmup": "0"}
    for train, kind in ((train_vqvae, "vqvae"), (train_mlm, "mlm")):
        run = options(kind, init=Path("bundled"), steps=1, batch_size=1, overrides=still)
        train(run)
        found, expected = load_checkpoint(run.out, kind), bundled_folder() / kind
        assert found.config == load_checkpoint(expected).config
        for name, value in load_checkpoint(expected).tensors.items():
            learned = not name.startswith("quantiser.") and "running" not in name
            if value.is_floating_point() and learned:
                again = found.tensors[name].float()
                torch.testing.assert_close(again, value.float(), rtol=1e-2, atol=1e-4)
    # a language model of other tokens is no place to start
    train_vqvae(options("other", overrides=VQVAE, steps=1))
    with pytest.raises(CheckpointError, match="tokens of another VQ-VAE"):
        train_mlm(options("b", init=Path("bundled"), vqvae=tmp_path / "other"))


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
    assert train_mlm(packing) == 0
    assert not packing.out.exists()
    assert list((tmp_path / "shards").rglob("*.tar"))
    packed = replace(options("b", overrides=VQVAE), data=(tmp_path / "shards",))
    assert train_vqvae(packed) == 2
    assert load_checkpoint(packed.out).notes["data"] == ["shards"]
    assert load_checkpoint(packed.out / "best").notes["step"] == 2  # what is held out validates


def test_songs_on_disk_train_both_models(
    options: Callable[..., TrainOptions], slakh: Callable[..., Path]
) -> None:
    for _ in range(2):
        folder = slakh({"S00": (25, False), "S01": (33, False), "S02": (48, False)}, seconds=2.0)
    first = replace(options("vqvae", overrides=VQVAE, workers=1), data=(folder,))
    assert train_vqvae(first) == 2
    settings = MLM | {"stems": "guitar,bass", "pitch_tempo_prob": "1", "effects_prob": "1"}
    second = options("mlm", overrides=settings, vqvae=first.out, workers=1)
    assert train_mlm(replace(second, data=(folder,))) == 2
    assert tuple(load_checkpoint(second.out).config["stems"]) == ("guitar", "bass")
    with pytest.raises(DataError, match=r"no piano in the data.*--set stems=bass,guitar"):
        train_mlm(replace(options("b", overrides=MLM, vqvae=first.out), data=(folder,)))
    with pytest.raises(ConfigError, match="random_mixing is 2"):
        train_vqvae(options("c", overrides=VQVAE | {"random_mixing": "2"}))


def test_a_device_that_is_not_there_is_refused(options: Callable[..., TrainOptions]) -> None:
    with pytest.raises(UsageError, match="device"):
        train_vqvae(options("a", overrides=VQVAE, device="abacus"))
