"""Memory: what is too much at once is done in parts, and a device's errors are told in words."""

import logging
import weakref

import pytest
import torch

from audiomask.errors import AudiomaskError, DeviceError, DeviceMemoryError
from audiomask.runtime.memory import AdaptiveBatches, as_user_error, device_errors, is_out_of_memory

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
SHORT = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory", 2),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to"),
)
LOST = (
    torch.AcceleratorError("CUDA error: unspecified launch failure\nCUDA kernel errors might", 719),
    torch.AcceleratorError("CUDA error: device-side assert triggered", 710),
    RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuFFT error: CUFFT_EXEC_FAILED"),
    RuntimeError("CUDA driver initialization failed, you might not have a CUDA gpu."),
    RuntimeError("Found no NVIDIA driver on your system."),
)
OURS = (
    RuntimeError("shape '[2, 3]' is invalid for input of size 5"),
    RuntimeError("Expected all tensors to be on the same device, found cuda:0 and cpu!"),
)


class Room:
    """Computes on so many at once, and no more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, stop: int) -> list[int]:
        self.asked.append((start, stop))
        if stop - start > self.room:
            raise SHORT[0]
        return list(range(start, stop))


@pytest.mark.parametrize("room", [1, 2, 3, 7, 16])
def test_all_of_it_is_done_in_order(room: int) -> None:
    compute = Room(room)
    parts = AdaptiveBatches(CPU).map("windows", 3, 19, compute)
    assert [number for part in parts for number in part] == list(range(3, 19))
    assert max(len(part) for part in parts) <= room
    assert (len(parts) == 1) == (room == 16)


def test_what_was_too_much_is_told_and_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    batches, compute = AdaptiveBatches(GPU), Room(4)
    with caplog.at_level(logging.WARNING):
        batches.map("windows", 0, 16, compute)
        batches.map("windows", 0, 16, compute)
    assert [stop - start for start, stop in compute.asked] == [16, 8, *[4] * 8]
    assert [record.getMessage() for record in caplog.records] == [
        "not enough memory on cuda:0 for 16 windows at once: 8 at a time from here on",
        "not enough memory on cuda:0 for 8 windows at once: 4 at a time from here on",
    ]
    other = Room(16)
    batches.map("frames", 0, 16, other)  # of another kind, more may fit
    assert other.asked == [(0, 16)]


def test_the_device_gets_back_what_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[None] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(None))
    AdaptiveBatches(GPU).map("windows", 0, 4, Room(1))
    assert len(freed) == 2
    AdaptiveBatches(CPU).map("windows", 0, 4, Room(1))
    assert len(freed) == 2


def test_what_failed_is_not_held_while_less_is_tried() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def compute(start: int, stop: int) -> None:
        assert all(tensor() is None for tensor in held)
        large = torch.zeros(stop - start)
        held.append(weakref.ref(large))
        if stop - start > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    AdaptiveBatches(CPU).map("windows", 0, 4, compute)
    assert len(held) > 4


@pytest.mark.parametrize("least", [1, 5])
def test_a_part_that_cannot_be_cut_fails(least: int) -> None:
    compute = Room(0)
    with pytest.raises(torch.OutOfMemoryError):
        AdaptiveBatches(CPU).map("windows", 0, 16, compute, least)
    assert compute.asked[-1] == (0, least)


@pytest.mark.parametrize("error", [*LOST, *OURS])
def test_other_errors_are_not_tried_again(error: RuntimeError) -> None:
    asked: list[None] = []

    def compute(start: int, stop: int) -> None:
        asked.append(None)
        raise error

    with pytest.raises(type(error)):
        AdaptiveBatches(GPU).map("windows", 0, 16, compute)
    assert len(asked) == 1


@pytest.mark.parametrize("error", SHORT)
def test_too_little_memory_in_words(error: RuntimeError) -> None:
    assert is_out_of_memory(error)
    told = as_user_error(error, GPU)
    assert isinstance(told, DeviceMemoryError)
    assert str(told).startswith("not enough memory on cuda:0: ")
    assert "--device cpu" in str(told)
    assert "--device cpu" not in str(as_user_error(error, CPU))


@pytest.mark.parametrize("error", LOST)
def test_a_lost_device_in_words(error: RuntimeError) -> None:
    assert not is_out_of_memory(error)
    told = as_user_error(error, torch.device("cuda"))
    assert isinstance(told, DeviceError)
    assert str(told).startswith("cuda:0 failed (")
    assert "\n" not in str(told)
    assert "CUDA kernel errors" not in str(told)
    assert "719" not in str(told)


@pytest.mark.parametrize("error", OURS)
def test_errors_of_our_own_stay_what_they_are(error: RuntimeError) -> None:
    assert as_user_error(error, GPU) is None
    with pytest.raises(RuntimeError) as raised, device_errors(GPU):
        raise error
    assert raised.value is error


def test_errors_are_explained_with_their_cause() -> None:
    with pytest.raises(AudiomaskError, match="unspecified launch") as raised, device_errors(GPU):
        raise LOST[0]
    assert raised.value.__cause__ is LOST[0]
