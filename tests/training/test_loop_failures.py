"""The loop fails in one line, and never saves what is spoilt."""

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from doubling import Doubling, Numbers, run
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import Dataset

from audiomask.errors import AudiomaskError, DataError
from audiomask.training.state import STATE_FILE

# Data that fails


class Failing(Dataset[Tensor]):
    """Has ten items."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, index: int) -> Tensor:
        if index >= 10:
            raise self.error
        return Numbers()[index]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "error", [DataError("nothing in songs/ could be read"), FileNotFoundError(2, "gone", "a.wav")]
)
def test_data_that_is_gone_is_one_line_and_keeps_the_checkpoint(
    tmp_path: Path, workers: int, error: Exception
) -> None:
    task = Doubling()
    with pytest.raises(DataError, match=r"(nothing in songs/|gone).*the run stopped") as caught:
        run(task, tmp_path, data=Failing(error), save_every=1, workers=workers)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert [notes["step"] for notes in task.saved] == [1, 2]
    assert run(Doubling(), tmp_path, resume=True) == 8


# Spoilt losses


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, bad: float
) -> None:
    task = Doubling({6: lambda loss: loss * bad})
    with pytest.raises(AudiomaskError, match=rf"loss is {bad} at step 5; .*--resume") as caught:
        run(task, tmp_path, save_every=2)
    assert "\n" not in str(caught.value)
    assert [notes["step"] for notes in task.saved] == [2, 4]
    assert all(
        value.double().isfinite().all() for value in load_file(tmp_path / STATE_FILE).values()
    )
    assert run(Doubling(), tmp_path, resume=True) == 8


def test_a_run_stopped_while_its_loss_is_out_of_range_keeps_the_checkpoint(tmp_path: Path) -> None:
    def spike(loss: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGTERM)
        return 1e6 * (1 + loss)

    task = Doubling({55: spike})
    assert run(task, tmp_path, steps=80, save_every=10) == 55
    assert [notes["step"] for notes in task.saved] == [10, 20, 30, 40, 50]
    # a resumed run goes on from before the spike
    again = Doubling()
    run(again, tmp_path, steps=80, resume=True)
    assert torch.equal(again.batches[0][0], Numbers()[200])


def test_a_gradient_that_is_not_finite_does_too(tmp_path: Path) -> None:
    # the square root of zero has a finite value and an infinite slope
    task = Doubling({3: lambda loss: loss + (0 * loss).sqrt()})
    with pytest.raises(AudiomaskError, match=r"gradient is (nan|inf) at step 2"):
        run(task, tmp_path, save_every=1)
    assert [notes["step"] for notes in task.saved] == [1, 2]
    assert all(
        value.double().isfinite().all() for value in load_file(tmp_path / STATE_FILE).values()
    )
    for value in task.model.state_dict().values():
        assert value.double().isfinite().all()
