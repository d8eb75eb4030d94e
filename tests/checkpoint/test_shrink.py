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
    requires = {"vqvae": "0123456789abcdef"}
    save_checkpoint(
        tmp_path / "mlm", "mlm", "default", {"dim": 4}, weights, {"step": 7}, requires=requires
    )
    (copy,) = shrink(tmp_path / "mlm", tmp_path / "small")
    assert copy.folder == tmp_path / "small"
    assert copy.before == (tmp_path / "mlm" / MODEL_FILE).stat().st_size
    assert copy.after == (tmp_path / "small" / MODEL_FILE).stat().st_size < 0.52 * copy.before
    one, other = (load_checkpoint(tmp_path / name) for name in ("mlm", "small"))
    assert (one.config, one.notes) == (other.config, other.notes)
    assert one.requires == other.requires == requires, "its VQ-VAE is the same"
    assert torch.equal(one.tensors["b"], other.tensors["b"])
    # half a step of the row's largest
    worst = (one.tensors["w"].float() - other.tensors["w"]).abs().amax(dim=1)
    assert (worst <= one.tensors["w"].float().abs().amax(dim=1) / 254 * 1.01).all()


def test_what_belongs_together_still_does(tmp_path: Path, tiny: Path) -> None:
    copies = shrink(tiny, tmp_path / "small")
    assert [copy.folder.name for copy in copies] == ["vqvae", "mlm", "masks", "spectrogram", "wave"]
    engine = Engine(tmp_path / "small", "cpu")
    assert engine.mlm.config == Engine(tiny, "cpu").mlm.config
    assert engine.masks.config == Engine(tiny, "cpu").masks.config
    found = {kind: load_checkpoint(tmp_path / "small" / kind) for kind in engine.kinds}
    assert found["mlm"].requires == {"vqvae": engine.fingerprints["vqvae"]}
    assert found["vqvae"].requires == found["masks"].requires == {}


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        shrink(tmp_path, tmp_path / "small")
    assert not (tmp_path / "small").exists()
