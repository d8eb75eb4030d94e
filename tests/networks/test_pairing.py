"""What an MLM's configuration tells, held against its VQ-VAE's."""

from dataclasses import replace
from pathlib import Path

import pytest

from audiomask.errors import CheckpointError
from audiomask.networks.mlm.config import PAPER, MLMConfig
from audiomask.networks.pairing import check_pair, stem_names
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig

FOLDER = Path("models/mlm")
CONFIG = MLMConfig(4, 1024, 32, 512, 44_100)


def test_pairs_that_belong_together() -> None:
    check_pair(FOLDER, CONFIG, VQVAEConfig())
    check_pair(FOLDER, replace(CONFIG, levels=2), VQVAEConfig())  # the first of its levels
    check_pair(FOLDER, MLMConfig(1, 512, 64, 16, 44_100, **PAPER), PaperConfig())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("levels", 5, "levels is 5; its VQ-VAE has 4"),
        ("codebook_size", 512, "codebook_size is 512, but 1024 in its VQ-VAE"),
        ("code_dim", 33, "code_dim is 33, but 32 in its VQ-VAE"),
        ("hop_length", 256, "hop_length is 256, but 512 in its VQ-VAE"),
        ("sample_rate", 48_000, "sample_rate is 48000, but 44100 in its VQ-VAE"),
    ],
)
def test_what_differs_is_named(name: str, value: int, words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        check_pair(FOLDER, replace(CONFIG, **{name: value}), VQVAEConfig())
    assert str(caught.value) == f"{FOLDER}: {words}"


def test_stems_are_names_of_files() -> None:
    for stems in (["guitar", "bass"], ["Gitarre (1)", "бас"], ["..x", "x.."], []):
        assert stem_names(FOLDER, {"stems": stems}) == tuple(stems)
    for config in ({}, *({"stems": other} for other in ("guitar", 3, None, {"a": 1}, ["a", 3]))):
        with pytest.raises(CheckpointError, match="no list of names"):
            stem_names(FOLDER, config)
