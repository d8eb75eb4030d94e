"""Presets of the VQ-VAE: what they change, and that a checkpoint remembers them."""

import dataclasses
from pathlib import Path

import pytest
import torch

from audiomask.checkpoint import load_checkpoint, restore, save_checkpoint
from audiomask.errors import ConfigError
from audiomask.networks.vqvae import PRESETS, build_vqvae
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.model import VQVAE

#: for any preset of the default model
TINY = {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds(preset: str) -> None:
    config = build_vqvae(preset).config
    changed = PRESETS[preset]
    assert {name: getattr(config, name) for name in changed} == changed


def test_one_level_is_the_default_model_with_one_token_a_frame() -> None:
    model = build_vqvae("one-level")
    assert isinstance(model, VQVAE)
    expected = {"levels": 1, "codebook_size": 4096, "level_dropout": 0}
    assert dataclasses.asdict(model.config) == dataclasses.asdict(VQVAEConfig()) | expected
    assert model.codebooks().shape[:2] == (1, 4096)


def test_coarse_is_under_a_kilobit_a_second() -> None:
    model = build_vqvae("coarse", TINY)
    config = model.config
    frames = config.sample_rate / config.hop_length
    assert frames * config.levels * 10 < 900
    assert model.encode(torch.zeros(1, 43 * 1024)).shape == (1, 2, 43)


def test_settings_go_over_the_preset() -> None:
    config = build_vqvae("one-level", TINY | {"codebook_size": 64}).config
    assert (config.levels, config.codebook_size) == (1, 64)
    with pytest.raises(ConfigError, match=r"preset one-level: .*colour"):
        build_vqvae("one-level", {"colour": 3})


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"'onelevel' \(there are: default, one-level, coarse, paper\)"
    ):
        build_vqvae("onelevel")


def test_a_checkpoint_remembers(tmp_path: Path) -> None:
    # a setting that the preset has otherwise comes back as it was
    model = build_vqvae("one-level", TINY | {"codebook_size": 16, "code_dim": 4})
    config = dataclasses.asdict(model.config)
    save_checkpoint(tmp_path, "vqvae", "one-level", config, model.state_dict())
    found = load_checkpoint(tmp_path, "vqvae")
    assert found.preset == "one-level"
    assert restore(found, build_vqvae).config == model.config
