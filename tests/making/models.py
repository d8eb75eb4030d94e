"""Tiny models with random weights: inference must be right whatever a model has learned."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_lm import settings as lm_settings
from tiny_spectrogram import GRID, SMALL
from tiny_wave import SMALL as WAVE

from audiomask.checkpoint import CONFIG_FILE, load_checkpoint, save_checkpoint
from audiomask.kinds import KINDS
from audiomask.networks.lm import build_lm
from audiomask.networks.masks import MaskUNet, build_masks
from audiomask.networks.mlm import MaskedLM, build_mlm
from audiomask.networks.spectrogram import build_spectrogram
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae
from audiomask.networks.wave import build_wave

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def vqvae() -> AnyVQVAE:
    torch.manual_seed(0)
    settings = {
        "encoder_dim": 16,
        "encoder_blocks": 2,
        "decoder_dim": 16,
        "decoder_blocks": 2,
        "levels": 2,
        "codebook_size": 32,
        "code_dim": 4,
    }
    return build_vqvae("default", settings).eval()


@pytest.fixture(scope="session")
def mlm(vqvae: AnyVQVAE) -> MaskedLM:
    torch.manual_seed(1)
    settings = {
        "levels": 2,
        "codebook_size": 32,
        "code_dim": 4,
        "hop_length": 512,
        "sample_rate": 44100,
        "dim": 32,
        "heads": 2,
        "layers": 1,
        "window": 128,
        "bands": 64,
        "stems": ("guitar", "piano", "bass", "drums"),
        "draft": False,
    }
    return build_mlm("default", settings, vqvae.codebooks()).eval()


@pytest.fixture(scope="session")
def masks() -> MaskUNet:
    torch.manual_seed(2)
    settings = {"bands": 64, "window": 64, "channels": (4, 6), "dim": 32, "heads": 2, "layers": 1}
    return build_masks("default", settings).eval()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints, one of every kind, that know nothing and run fast.

    Two levels of 32 codes, 86 frames a second, stems guitar and bass, a window of 48 frames, of
    24 for the masks and the spectrogram model.
    """
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    size = {"encoder_dim": 16, "encoder_blocks": 1, "decoder_dim": 16, "decoder_blocks": 1}
    codes = {"levels": 2, "codebook_size": 32, "code_dim": 4}
    vqvae = build_vqvae("default", size | codes)
    fingerprint = save(folder, "vqvae", vqvae)
    small = {"dim": 16, "heads": 2, "layers": 1, "bands": 16, "stems": ("guitar", "bass")}
    same = {"hop_length": 512, "sample_rate": 44100, "window": 48}
    mlm = build_mlm("default", codes | small | same | {"draft": False}, vqvae.codebooks())
    save(folder, "mlm", mlm, vqvae=fingerprint)
    save(folder, "masks", build_masks("default", small | {"channels": (4, 6), "window": 24}))
    save(folder, "spectrogram", build_spectrogram("default", SMALL | GRID))
    save(folder, "wave", build_wave("default", WAVE))
    return folder


@pytest.fixture(scope="session")
def continuing(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoints, every stage of the language model, and semantic clusters."""
    folder = tmp_path_factory.mktemp("continuing")
    for kind in ("vqvae", "mlm", "masks", "wave"):
        shutil.copytree(tiny / kind, folder / kind)
    torch.manual_seed(0)
    spectrogram = build_spectrogram("default", SMALL | GRID)
    spectrogram.semantic_clusters.find(torch.randn(40, SMALL["dim"]))
    prints = {
        "vqvae": load_checkpoint(tiny / "vqvae").fingerprint,
        "spectrogram": save(folder, "spectrogram", spectrogram),
    }
    for stage, required in KINDS["lm"].stages.items():
        model = build_lm("default", lm_settings(stage))
        save(folder, "lm", model, f"lm-{stage}", **{kind: prints[kind] for kind in required})
    return folder


@pytest.fixture
def clustered(continuing: Path, tmp_path: Path) -> Path:
    """A copy of the tiny tokenizers, the spectrogram model with semantic clusters."""
    for kind in ("vqvae", "spectrogram"):
        shutil.copytree(continuing / kind, tmp_path / "tokenizers" / kind)
    return tmp_path / "tokenizers"


def save(folder: Path, kind: str, model: Any, name: str = "", **requires: str) -> str:
    """Write a model of the default preset into a folder's folder of its kind, or of a name."""
    config, weights = asdict(model.config), model.state_dict()
    place = folder / (name or kind)
    return save_checkpoint(place, kind, "default", config, weights, requires=requires)


def edit_config(folder: Path, **entries: Any) -> None:
    """Rewrite some entries of a checkpoint's config.json."""
    file = folder / CONFIG_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))
