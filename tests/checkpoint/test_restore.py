"""Whole models from checkpoints: built as the configuration says, or refused in a line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from audiomask.checkpoint.store import load_checkpoint, restore, save_checkpoint
from audiomask.errors import CheckpointError, ConfigError
from audiomask.kinds import KINDS, checkpoints
from models import edit_config


class Tower(nn.Module):
    """A model of some layers."""

    def __init__(self, layers: int = 2, dim: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(layers))


def build(preset: str, config: dict[str, Any]) -> Tower:
    if preset != "default":
        raise ConfigError(f"no preset '{preset}'")
    return Tower(**config)


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_checkpoint(tmp_path, "mlm", "default", {"layers": 2, "dim": 4}, Tower().state_dict())
    return tmp_path


def test_a_model_is_restored(tower: Path) -> None:
    model = restore(load_checkpoint(tower), build)
    torch.manual_seed(0)
    for name, value in Tower().state_dict().items():
        found = model.state_dict()[name]
        assert found.device.type == "cpu"
        assert torch.equal(found, value.half().float() if value.dim() > 1 else value)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"layers": 2, "dim": 1 << 24}, "config.json makes it"),  # a PiB a layer
        ({"layers": 10**12, "dim": 4}, "layers is 1000000000000"),
        ({"layers": 3, "dim": 4}, "lacks tensor"),
        ({"layers": 2, "dim": 5}, "config.json makes it"),
        ({"layers": 2, "dim": -4}, "describes no model"),
        ({"layers": 2, "dim": "four"}, "describes no model"),
        ({"layers": None, "dim": 4}, "describes no model"),
        ({"layers": 2, "colour": 4}, "describes no model"),
    ],
)
def test_a_configuration_that_is_not_the_tensors_is_refused(
    tower: Path, config: dict[str, Any], reason: str
) -> None:
    edit_config(tower, config=config)
    with pytest.raises(CheckpointError, match=reason) as caught:
        restore(load_checkpoint(tower), build)
    assert "\n" not in str(caught.value)


def test_a_model_is_built_as_its_kind_says(continuing: Path) -> None:
    for kind in checkpoints():
        found = load_checkpoint(continuing / kind)
        restored = restore(found)
        assert type(restored) is type(KINDS[found.kind].network(found.preset, found.config))
        assert restored.state_dict().keys() == found.tensors.keys()


def test_a_kind_that_is_not_known_is_refused_with_the_known_ones(tower: Path) -> None:
    edit_config(tower, kind="opera")
    with pytest.raises(CheckpointError) as caught:
        restore(load_checkpoint(tower))
    known = "vqvae, mlm, masks, spectrogram, wave, lm"
    assert str(caught.value) == f"{tower}: no kind of model 'opera' (there are: {known})"


def test_an_unknown_preset_is_refused(tower: Path) -> None:
    edit_config(tower, preset="other")
    with pytest.raises(CheckpointError, match="no preset 'other'"):
        restore(load_checkpoint(tower), build)
