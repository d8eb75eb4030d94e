"""Matrices as 8-bit integers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomask.checkpoint import load_checkpoint, save_checkpoint
from audiomask.checkpoint.eight_bit import LEAST, pack, unpack
from audiomask.errors import CheckpointError


@settings(max_examples=20)
@given(seed=st.integers(0, 99), magnitude=st.floats(1e-3, 1e3), spread=st.floats(0, 3))
def test_values_are_within_half_a_step(seed: int, magnitude: float, spread: float) -> None:
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(130, 8, 16, generator=random) * magnitude
    # rows of very different size
    rows *= 10 ** (spread * torch.rand(130, 1, 1, generator=random) - spread)
    back = unpack(pack({"w": rows}))["w"]
    step = rows.flatten(1).abs().amax(dim=1) / 127
    assert ((back - rows).flatten(1).abs().amax(dim=1) <= 0.501 * step + 1e-7).all()


def test_only_large_matrices_of_floats_are_packed() -> None:
    kept = {
        "small": torch.randn(4, 4),
        "vector": torch.randn(LEAST),
        "whole": torch.zeros(128, 128, dtype=torch.int64),
        "norm.scale": torch.randn(3),
    }
    packed = pack(kept | {"large": torch.randn(128, 128), "silent": torch.zeros(128, 128)})
    assert packed.keys() - kept.keys() == {
        "large.int8",
        "large.scale",
        "silent.int8",
        "silent.scale",
    }
    assert all(packed[name] is value for name, value in kept.items())
    back = unpack(packed)
    assert back.keys() == kept.keys() | {"large", "silent"}
    assert torch.equal(back["silent"], torch.zeros(128, 128))


@pytest.mark.parametrize("wrong", ["missing", "short", "whole", "kind"])
def test_what_does_not_belong_together_is_refused(tmp_path: Path, wrong: str) -> None:
    tensors = pack({"w": torch.randn(128, 128)})
    if wrong == "missing":
        del tensors["w.scale"]
    elif wrong == "short":
        tensors["w.scale"] = tensors["w.scale"][:5]
    elif wrong == "whole":
        tensors["w.scale"] = torch.ones(128, dtype=torch.int64)
    else:
        tensors["w.int8"] = torch.randn(128, 128)
    save_checkpoint(tmp_path, "mlm", "default", {}, tensors)
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*w\.int8.*belong"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_half_the_size(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    weights = {"w": torch.randn(512, 512, generator=random), "b": torch.zeros(512)}
    sizes = []
    for eight_bit in (False, True):
        folder = tmp_path / str(eight_bit)
        save_checkpoint(folder, "mlm", "default", {}, weights, eight_bit=eight_bit)
        sizes.append((folder / "model.safetensors").stat().st_size)
        found = load_checkpoint(folder).tensors
        assert found.keys() == weights.keys()
        assert torch.allclose(found["w"].float(), weights["w"], atol=0.02)
    assert sizes[1] < 0.55 * sizes[0]
