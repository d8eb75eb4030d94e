"""Training tests draw the same first weights whatever ran before them, and take tiny runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from audiomask.training.options import TrainOptions
from audiomask.training.tasks import vqvae


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def options(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TrainOptions]:
    """``options("a", steps=2)``: a run into a folder, on the bank; two steps unless it says else.

    A VQ-VAE's excerpts are of 0.8 s, two crops of each: the runs are about wiring.
    """
    monkeypatch.setattr(vqvae, "EXCERPT_SECONDS", 0.8)
    monkeypatch.setattr(vqvae, "CROPS", 2)
    monkeypatch.setattr(vqvae, "EXAMPLES", 4)

    def make(name: str, **more: object) -> TrainOptions:
        given = {"steps": 2, "batch_size": 2, "precision": "fp32", "device": "cpu"} | more
        return TrainOptions(data=(bank,), out=tmp_path / name, quiet=True, **given)

    return make
