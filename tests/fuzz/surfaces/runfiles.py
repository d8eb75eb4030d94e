"""Run files: the TOML of ``audiomask train --config``, and its settings put over the presets'.

The first byte of an input chooses what is trained; the others are the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audiomask.data.augmentation import Augmentation
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig
from audiomask.training.config import TrainConfig
from audiomask.training.options import TrainOptions
from audiomask.training.runfile import read_run
from audiomask.training.settings import resolve

#: what is trained, by the first byte
KINDS: dict[bytes, tuple[str, Any]] = {
    b"v": ("vqvae", VQVAEConfig()),
    b"p": ("vqvae", PaperConfig()),
    b"m": ("mlm", MLMConfig(4, 1024, 32, 512, 44_100)),
    b"u": ("masks", MasksConfig()),
}
WORDS = (
    b"[model]\n", b"[schedule]\n", b"[augmentation]\n", b"[origin]\n", b"levels", b"dim", b"stems",
    b"channels", b"learning_rate", b"pan_prob", b"max-time", b"data", b"batch-size", b"kind",
    b"steps", b" = ", b"[", b"]", b'"', b"'''", b"nan", b"inf", b"1e309", b"true", b"{", b"}",
    b"1979-05-27T07:32:00Z", b"0x7fffffffffffffff", b'"9m"', b'"~"', b'"../.."', b"\\u0000", b"#",
)  # fmt: skip


def attempt(data: bytes, folder: Path) -> None:
    """Read a run file and resolve its settings."""
    kinds = list(KINDS)
    kind, model = KINDS.get(data[:1]) or KINDS[kinds[data[0] % len(kinds) if data else 0]]
    path = folder / "run.toml"
    path.write_bytes(data[1:])
    run = read_run(path, kind)
    options = TrainOptions(data=(), out=folder, files=(run,))
    resolve(options, model, TrainConfig(100, 8), Augmentation())


def seeds() -> list[bytes]:
    """Run files with everything in them."""
    options = (
        'data = ["notes", "/far/midi"]\nout = "../runs/a"\npreset = "paper"\nsteps = 10\n'
        'max-time = "1h30m"\ncompile = false\nworkers = 2\nbatch-size = "auto"\nshard = true\n'
    )
    vqvae = options + "[model]\nlevels = 3\ncode_dim = 8\n[schedule]\nlearning_rate = 3e-4\n"
    more = "[augmentation]\npan_prob = 0.5\n[origin]\nkind = 'vqvae'\n"
    mlm = 'steps = 3\n[model]\nstems = ["guitar"]\nlayers = 2\nbands = 32\nseparated = 0.5\n'
    masks = 'steps = 3\n[model]\nstems = ["guitar"]\nchannels = [4, 8]\nbands = 32\n'
    paper = "seed = 7\n[model]\nblocks = 2\nstft_size = 32\ncommitment = 0.1\n"
    texts = {b"v": vqvae + more, b"m": mlm, b"p": paper, b"u": masks}
    return [first + text.encode() for first, text in texts.items()]
