"""examples/shrink.py: a smaller copy that works alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from audiomask.checkpoint import load_checkpoint, save_checkpoint

SCRIPT = Path(__file__).parents[2] / "examples" / "shrink.py"


def run(*arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True
    )


def test_an_mlm_at_half_its_size(tmp_path: Path) -> None:
    weights = {"w": torch.randn(512, 512), "b": torch.randn(512)}
    notes = {"vqvae": "0123456789abcdef", "step": 7}
    save_checkpoint(tmp_path / "mlm", "mlm", "default", {"dim": 4}, weights, notes)
    done = run(tmp_path / "mlm", tmp_path / "small")
    assert done.returncode == 0, done.stderr
    assert "0.5 MB became 0.3 MB" in done.stdout
    one, other = (load_checkpoint(tmp_path / name) for name in ("mlm", "small"))
    assert (one.config, one.notes) == (other.config, other.notes)
    assert torch.equal(one.tensors["b"], other.tensors["b"])
    # half a step of the row's largest
    assert (one.tensors["w"].float() - other.tensors["w"]).abs().max() < 0.03


def test_a_vqvae_is_refused_in_one_line(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "vqvae", "vqvae", "default", {}, {"w": torch.ones(2)})
    done = run(tmp_path / "vqvae", tmp_path / "small")
    assert done.returncode == 1
    assert done.stderr.startswith("shrink: error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "small").exists()
