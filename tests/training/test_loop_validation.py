"""The loop on validation data: it leaves no trace, and the best checkpoint is kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from doubling import Doubling, Others, log, run
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from audiomask.training.batches import BatchSource
from audiomask.training.state import STATE_FILE


def test_validation_is_on_the_same_items_and_leaves_no_trace(tmp_path: Path) -> None:
    checked, plain = Doubling(), Doubling()
    more = {"validate_every": 3, "validate_items": 8}
    run(checked, tmp_path / "a", validation=BatchSource(Others()), **more)
    run(plain, tmp_path / "b")
    expected = torch.stack([Others()[i] for i in range(8)])
    assert len(checked.validated) == 3 * 2  # after steps 3, 6 and 8
    for first in (0, 2, 4):
        assert torch.equal(torch.cat(checked.validated[first : first + 2]), expected)
    states = [load_file(tmp_path / name / STATE_FILE) for name in "ab"]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    entries = [entry for entry in log(tmp_path / "a") if "validation_loss" in entry]
    assert [entry["step"] for entry in entries] == [3, 6, 8]
    # of the averaged weights
    task = Doubling()
    task.model.load_state_dict(checked.saved[-1]["weights"])
    task.model.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        losses = [float(task.loss(batch)[0]) for batch in expected.split(4)]
    assert entries[-1]["validation_loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    # the loss rises after the fifth step: its weights are spoilt on purpose
    def spoil(loss: Tensor) -> None:
        with torch.no_grad():
            task.model[2].bias += 100
            loss *= 0

    task = Doubling({6: spoil})
    run(
        task,
        tmp_path,
        validate_every=1,
        validate_items=4,
        validation=BatchSource(Others()),
        ema=0.0,
    )
    losses = [e["validation_loss"] for e in log(tmp_path) if "validation_loss" in e]
    best = int(np.argmin(losses)) + 1
    assert best <= 5
    kept = [notes["step"] for notes in task.saved if notes["folder"] == "best"]
    assert kept[-1] == best
    # and stays the best after a resumption
    place = json.loads(read_metadata(tmp_path)["place"])
    assert (place["best_step"], place["best"]) == (best, pytest.approx(min(losses)))


def read_metadata(out: Path) -> dict[str, str]:
    with safe_open(out / STATE_FILE, framework="pt") as stored:
        return dict(stored.metadata())


def test_tensorboard_gets_numbers_sounds_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    more = {"validate_every": 4, "validate_items": 4, "validation": BatchSource(Others())}
    run(Doubling(), tmp_path, tensorboard=True, **more)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/gradient", "train/speed", "validation/loss"} <= set(
        tags["scalars"]
    )
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 9))
    assert tags["audio"] == ["input"]
    assert tags["images"] == ["input"]
