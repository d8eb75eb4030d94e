from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tiny_lm import settings

from audiomask.errors import ConfigError
from audiomask.networks.lm import build_lm, check_required
from audiomask.networks.lm.config import LMConfig, decided_by

VQVAE = SimpleNamespace(sample_rate=44_100, hop_length=512, codebook_size=32, levels=2)
SPECTROGRAM = SimpleNamespace(sample_rate=44_100, hop_length=1024, semantic_clusters=6)


@pytest.mark.parametrize(
    ("stage", "wrong", "told"),
    [
        ("opera", {}, "stage is 'opera'; it must be semantic, coarse, fine or acoustic"),
        ("coarse", {"dim": 0}, "dim is 0; it must be a whole number from 1"),
        ("coarse", {"dim": 10, "heads": 4}, "dim is 10; it must be a multiple of twice the heads"),
        ("coarse", {"kernel": 4}, "kernel is 4; it must be odd"),
        ("coarse", {"layers": 65}, "layers is 65; it must be 64 at most"),
        ("coarse", {"window": 1 << 15}, "window is 32768; it must be 16384 at most"),
        ("coarse", {"forgetful": 1.0}, "forgetful is 1.0; it must be from 0 to less than 1"),
        ("coarse", {"window": 30}, "window is 30; it must be a multiple of 4"),
        ("coarse", {"semantic_hop": 2000}, "semantic_hop is 2000; it must be a multiple"),
        ("coarse", {"clusters": 0}, "clusters is 0; the stage reads semantic tokens"),
        ("acoustic", {"codebook_size": 0}, "codebook_size is 0; the stage predicts acoustic"),
        ("acoustic", {"coarse_levels": 3}, "coarse_levels is 3; the VQ-VAE has 2, and"),
        ("fine", {"coarse_levels": 2}, "the stage fine needs 3"),
    ],
)
def test_what_cannot_be_is_refused(stage: str, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LMConfig(**settings(stage, **wrong))
    assert told in str(caught.value)


def test_every_stage_has_its_window() -> None:
    needed = {name: value for name, value in settings("fine").items() if name != "window"}
    windows = {
        stage: build_lm("default", needed | {"stage": stage}).config.window
        for stage in ("semantic", "coarse", "fine", "acoustic")
    }
    assert windows == {"semantic": 640, "coarse": 576, "fine": 128, "acoustic": 576}


def test_the_tokenizers_decide() -> None:
    both = decided_by({"vqvae": VQVAE, "spectrogram": SPECTROGRAM})
    assert (both["hop_length"], both["semantic_hop"], both["clusters"]) == (512, 2048, 6)
    assert decided_by({"spectrogram": SPECTROGRAM})["hop_length"] == 2048
    config = LMConfig(**settings("coarse"))
    check_required(config, {"vqvae": VQVAE, "spectrogram": SPECTROGRAM})
    other = SimpleNamespace(**(vars(SPECTROGRAM) | {"semantic_clusters": 7}))
    with pytest.raises(ConfigError, match="clusters is 6, but 7 in what"):
        check_required(config, {"vqvae": VQVAE, "spectrogram": other})
    slow = SimpleNamespace(**(vars(SPECTROGRAM) | {"sample_rate": 22_050}))
    with pytest.raises(ConfigError, match="sample_rate is 44100 in the VQ-VAE, but 22050"):
        decided_by({"vqvae": VQVAE, "spectrogram": slow})
