"""Training state: saved whole, restored whole, refused when it is not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from audiomask.checkpoint import store as module
from audiomask.errors import CheckpointError
from audiomask.training.state import (
    STATE_FILE,
    TrainState,
    load_state,
    part,
    save_state,
    seconds_spent,
)

PLACE = TrainState(7, 56, 12.5, 0.25, 5, {"scale": 1024.0}, 0.125)


def trained(width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model after two steps."""
    model = nn.Linear(3, width)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        torch.autograd.backward(model(torch.randn(5, 3)).square().mean())
        optimizer.step()
    return model, optimizer


def save(folder: Path, step: int = 7) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    model, optimizer = trained()
    averages = {name: value + 1 for name, value in model.state_dict().items()}
    save_state(folder, model, averages, optimizer, replace(PLACE, step=step))
    return model, averages


def test_everything_comes_back(tmp_path: Path) -> None:
    model, optimizer = trained()
    averages = {name: value + 1 for name, value in model.state_dict().items()}
    save_state(tmp_path, model, averages, optimizer, PLACE)
    expected = torch.rand(3)
    other, fresh = trained()
    empty = {name: torch.zeros_like(value) for name, value in averages.items()}
    torch.manual_seed(123)
    assert load_state(tmp_path, other, empty, fresh) == PLACE
    assert torch.equal(torch.rand(3), expected)  # the random generator goes on where it was
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
        assert torch.equal(empty[name], averages[name])
    for number, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            assert torch.equal(fresh.state_dict()["state"][number][name], value)
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_the_time_spent_is_told_before_all_is_loaded(tmp_path: Path) -> None:
    assert seconds_spent(tmp_path) == 0
    save(tmp_path)
    assert seconds_spent(tmp_path) == 12.5
    (tmp_path / STATE_FILE).write_bytes(b"no state")
    assert seconds_spent(tmp_path) == 0


def refuse(folder: Path, reason: str, width: int = 4) -> None:
    model, optimizer = trained(width)
    averages = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_state(folder, model, averages, optimizer)
    assert "\n" not in str(caught.value)


def test_nothing_to_resume(tmp_path: Path) -> None:
    refuse(tmp_path, "nothing to resume")


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_state_is_refused(tmp_path: Path, size: int) -> None:
    save(tmp_path)
    file = tmp_path / STATE_FILE
    file.write_bytes(file.read_bytes()[:size])
    refuse(tmp_path, "cannot resume")


def test_the_state_of_another_model_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    refuse(tmp_path, "cannot resume", width=5)


def test_a_failed_save_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, step=7)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(module, "save_file", fail)
    with pytest.raises(CheckpointError, match="disk full"):
        save(tmp_path, step=8)
    model, optimizer = trained()
    averages = {name: value.clone() for name, value in model.state_dict().items()}
    assert load_state(tmp_path, model, averages, optimizer).step == 7
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_parts() -> None:
    one = torch.ones(1)
    assert part({"a/x": one, "a/y/z": one, "b/x": one}, "a/").keys() == {"x", "y/z"}
