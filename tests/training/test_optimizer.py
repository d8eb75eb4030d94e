"""Optimizers: which weights Muon takes, and that two are saved and loaded as one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from audiomask.errors import ConfigError
from audiomask.training.config import TrainConfig
from audiomask.training.optimizer import CombinedOptimizer, freeze_except, optimizer_of
from audiomask.training.state import TrainState, load_state, save_state

SCHEDULE = TrainConfig(steps=10, batch_size=1, optimizer="muon", learning_rate=0.01)


class Model(nn.Module):
    """Two repeated parts between two matrices that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Linear(16, 8)
        self.parts = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.outward = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inward(x)
        for part in self.parts:
            x = x + part(x).tanh()
        return self.outward(x)  # type: ignore[no-any-return]


def started(schedule: TrainConfig = SCHEDULE) -> tuple[Model, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Model()
    return model, optimizer_of(model, schedule, model.parts)


def steps(model: Model, optimizer: torch.optim.Optimizer, number: int) -> None:
    for step in range(number):
        x = torch.randn(16, 16, generator=torch.Generator().manual_seed(step))
        loss = (model(x) - x[:, :8]).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def test_muon_takes_the_matrices_of_the_repeated_parts() -> None:
    model, optimizer = started()
    assert isinstance(optimizer, CombinedOptimizer)
    muon, plain = optimizer.parts
    assert isinstance(muon, torch.optim.Muon)
    taken = muon.param_groups[0]["params"]
    assert all(a is b for a, b in zip(taken, [p.weight for p in model.parts], strict=True))
    rest = [p for group in plain.param_groups for p in group["params"]]
    assert {id(p) for p in taken} | {id(p) for p in rest} == {id(p) for p in model.parameters()}
    assert len(taken) + len(rest) == len(list(model.parameters()))
    assert {group["weight_decay"] for group in plain.param_groups} == {0.01, 0.0}


def test_a_step_of_muon_moves_all_directions_alike() -> None:
    model, optimizer = started(replace(SCHEDULE, weight_decay=0.0))
    before = model.parts[0].weight.detach().clone()
    steps(model, optimizer, 1)
    moved = torch.linalg.svdvals(model.parts[0].weight.detach() - before)
    # as large as AdamW's: 0.2 a weight in the root mean square, times the rate
    assert float(moved.square().sum().sqrt()) / 8 == pytest.approx(0.2 * 0.01, rel=0.3)
    assert float(moved.median() / moved[0]) > 0.5


def test_the_rate_set_is_that_of_both() -> None:
    model, optimizer = started()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in model.parameters()]
    steps(model, optimizer, 2)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_adamw_alone_where_nothing_else_is_asked_for() -> None:
    model, optimizer = started(replace(SCHEDULE, optimizer="adamw"))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(model.parameters()))
    bare = nn.Linear(2, 2)  # without repeated parts
    assert isinstance(optimizer_of(bare, SCHEDULE), torch.optim.AdamW)


def test_an_interrupted_run_ends_as_a_whole_one(tmp_path: Path) -> None:
    whole, optimizer = started()
    steps(whole, optimizer, 6)
    first, optimizer = started()
    steps(first, optimizer, 3)
    save_state(tmp_path, first, {}, optimizer, TrainState(step=3))
    second, optimizer = started()
    steps(second, optimizer, 1)  # whatever it holds gives way
    load_state(tmp_path, second, {}, optimizer)
    for group in optimizer.param_groups:
        assert group["lr"] == 0.01
    for step in range(3, 6):
        x = torch.randn(16, 16, generator=torch.Generator().manual_seed(step))
        loss = (second(x) - x[:, :8]).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ConfigError, match="optimizer is 'sgd'; it must be adamw or muon"):
        TrainConfig(steps=1, batch_size=1, optimizer="sgd")


def test_what_is_held_stays(tmp_path: Path) -> None:
    model, _ = started()
    freeze_except(model, "parts")
    optimizer = optimizer_of(model, SCHEDULE, model.parts)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    steps(model, optimizer, 2)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) is not name.startswith("parts"), name
    # what has no moments is no hindrance to going on
    save_state(tmp_path, model, dict(model.state_dict()), optimizer, TrainState(2, 2))
    other, _ = started()
    freeze_except(other, "parts")
    again = optimizer_of(other, SCHEDULE, other.parts)
    load_state(tmp_path, other, dict(other.state_dict()), again)
    steps(model, optimizer, 2)
    steps(other, again, 2)
    for one, same in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)


def test_unused_parameters_are_held_too() -> None:
    model = Model()
    freeze_except(model, "", model.parts.parameters())
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad is not name.startswith("parts"), name


def test_holding_all_is_refused() -> None:
    model = Model()
    with pytest.raises(
        ConfigError, match=r"trainable_prefix is 'refiner'.*there are: inward, parts, outward"
    ):
        freeze_except(model, "refiner")
    with pytest.raises(
        ConfigError, match="trainable_prefix is 'parts', and no loss depends on that"
    ):
        freeze_except(model, "parts", model.parts.parameters())
