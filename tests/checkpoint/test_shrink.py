from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audiomask.checkpoint import MODEL_FILE, load_checkpoint, save_checkpoint
from audiomask.checkpoint.shrink import shrink
from audiomask.engine import Engine
from audiomask.errors import CheckpointError


def test_a_checkpoint_alone_at_half_its_size(tmp_path: Path) -> None:
    weights = {"w": torch.randn(512, 512), "b": torch.randn(512)}
    notes = {"vqvae": "0123456789abcdef", "step": 7}
    save_checkpoint(tmp_path / "mlm", "mlm", "default", {"dim": 4}, weights, notes)
    (copy,) = shrink(tmp_path / "mlm", tmp_path / "small")
    assert copy.folder == tmp_path / "small"
    assert copy.before == (tmp_path / "mlm" / MODEL_FILE).stat().st_size
    assert copy.after == (tmp_path / "small" / MODEL_FILE).stat().st_size < 0.52 * copy.before
    one, other = (load_checkpoint(tmp_path / name) for name in ("mlm", "small"))
    assert (one.config, one.notes) == (other.config, other.notes), "its VQ-VAE is the same"
    assert torch.equal(one.tensors["b"], other.tensors["b"])
    # half a step of the row's largest
    worst = (one.tensors["w"].float() - other.tensors["w"]).abs().amax(dim=1)
    assert (worst <= one.tensors["w"].float().abs().amax(dim=1) / 254 * 1.01).all()


def test_a_pair_still_belongs_together(tmp_path: Path, tiny: Path) -> None:
    copies = shrink(tiny, tmp_path / "small")
    assert [copy.folder.name for copy in copies] == ["vqvae", "mlm"]
    engine = Engine(tmp_path / "small", "cpu")
    assert engine.mlm.config == Engine(tiny, "cpu").mlm.config
    assert (
        load_checkpoint(tmp_path / "small" / "mlm").notes["vqvae"] == (engine.fingerprints["vqvae"])
    )


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        shrink(tmp_path, tmp_path / "small")
    assert not (tmp_path / "small").exists()
