"""Which device, and in which precision."""

import threading

import pytest
import torch

from audiomask.errors import UsageError
from audiomask.runtime.device import (
    choose_device,
    describe_device,
    fast,
    has_bfloat16,
    number_device,
    share_of_threads,
    thread_count_initializer,
)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "mps"])
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        choose_device(name)


def test_a_gpu_is_described_by_number_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    assert describe_device(torch.device("cuda", 1)) == "cuda:1 (Some GPU)"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    assert describe_device(torch.device("cuda")) == "cuda:2 (Some GPU)"
    assert number_device(torch.device("cuda", 1)) == "cuda:1"


def test_auto_is_the_first_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, type_ in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto").type == type_


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [share_of_threads(parts) for parts in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]


def test_a_new_thread_computes_on_as_many() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        begin = thread_count_initializer()
        torch.set_num_threads(1)
        found: list[int] = []
        thread = threading.Thread(
            target=lambda: (begin(), found.append(torch.get_num_threads()))  # type: ignore[func-returns-value]
        )
        thread.start()
        thread.join()
        assert found == [3]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("able", [False, True])
def test_heavy_products_are_short_where_that_is_fast(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: able)
    device = torch.device("cpu")
    assert has_bfloat16(device) == able
    with fast(device):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if able else torch.float32)
