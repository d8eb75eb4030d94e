"""Fit: the largest batch is found by trying, and leaves no trace. A GPU is played by numbers."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from audiomask.errors import UsageError
from audiomask.training import batch_size as fit
from audiomask.training.batches import BatchSource
from audiomask.training.config import Run

CPU = torch.device("cpu")


class Rows(Dataset[Tensor]):
    """Item i is i everywhere."""

    def __getitem__(self, index: int) -> Tensor:
        return torch.full((4,), float(index))


class Hungry:
    """Runs out of memory above some batch, and moves a buffer in every step."""

    def __init__(self, most: int) -> None:
        torch.manual_seed(0)
        self.model = nn.BatchNorm1d(4)
        self.most, self.tried = most, []

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.tried.append(len(batch))
        torch.rand(3)
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.model(batch + torch.randn_like(batch)).square().mean(), {}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A device called cuda that computes on the CPU and has a memory of 100 GB."""
    memory = SimpleNamespace(used=1e9)
    properties = SimpleNamespace(total_memory=100e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: memory.used)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    monkeypatch.setattr(nn.Module, "to", lambda self, device: self)
    monkeypatch.setattr(fit, "to_device", lambda batch, device: batch)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: forked())
    return memory


class forked:
    """The CPU's random numbers put back, as fork_rng does."""

    def __enter__(self) -> None:
        self.state = torch.get_rng_state()

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self.state)


def largest(task: Any) -> int:
    return fit.largest_batch(task, BatchSource(Rows()), torch.device("cuda"), Run(CPU).autocast())


def test_the_largest_power_of_two_that_fits(gpu: Any) -> None:
    task = Hungry(most=13)
    task.model.bias = nn.Parameter(torch.ones(4))
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    drawn = torch.get_rng_state()
    # one row has no spread that batch normalization could learn in training
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "_verify_batch_size", lambda size: None)
        assert largest(task) == 8
    assert task.tried == [1, 2, 4, 8, 16]
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[n]) for n, value in task.model.state_dict().items())
    assert all(parameter.grad is None for parameter in task.model.parameters())


def test_some_memory_is_spared(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.functional, "_verify_batch_size", lambda size: None)
    task = Hungry(most=1 << 20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 10e9 * task.tried[-1])
    assert largest(task) == 8  # 16 would need 160 GB of 100


def test_nothing_fits_is_said(gpu: Any) -> None:
    with pytest.raises(UsageError, match="not even one item fits"):
        largest(Hungry(most=0))


def test_a_cpu_is_told_a_number() -> None:
    with pytest.raises(UsageError, match="--batch-size auto is found on a CUDA device"):
        fit.largest_batch(Hungry(1), BatchSource(Rows()), CPU, Run(CPU).autocast())
