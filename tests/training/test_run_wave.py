"""Whole runs of the raw-audio model: both presets, resumption and validation."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from run_settings import WAVE, WAVE_PAPER
from safetensors.torch import load_file

from audiomask.checkpoint import load_checkpoint, restore
from audiomask.training.options import TrainOptions
from audiomask.training.run import train_kind

PRESETS = {"default": WAVE, "paper": WAVE_PAPER}


@pytest.fixture
def recordings(sound: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder of recordings of a second, some of them for validation."""
    for split, number in (("train", 3), ("validation", 1)):
        for name in range(number):
            sound(tmp_path / f"recordings/{split}/{name}.wav", 1.0, level=0.2)
    return tmp_path / "recordings"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_trained_resumed_and_read(
    preset: str, options: Callable[..., TrainOptions], recordings: Path
) -> None:
    given = {"overrides": PRESETS[preset], "preset": preset, "steps": 4}

    def run(name: str, **more: object) -> TrainOptions:
        made = options(name, **(given | more))
        object.__setattr__(made, "data", (recordings,))
        return made

    whole = run("whole", validate_every=2)
    assert train_kind("wave", whole) == 4
    assert (whole.out / "best" / "config.json").is_file()
    # the learning rate is planned over the steps: it stops as if it was interrupted
    assert train_kind("wave", run("parts", max_time=1e-9)) < 4
    assert train_kind("wave", run("parts", resume=True)) == 4
    states = [
        load_file(whole.out.parent / name / "state.safetensors") for name in ("whole", "parts")
    ]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if name.startswith("model/"):
            assert torch.equal(states[1][name], value), name
    found = load_checkpoint(whole.out, "wave")
    assert (found.preset, found.requires) == (preset, {})
    assert restore(found).config.window == int(PRESETS[preset]["window"])
