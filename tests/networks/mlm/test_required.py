"""What an MLM's configuration tells, held against its VQ-VAE's."""

from dataclasses import replace

import pytest

from audiomask.errors import ConfigError
from audiomask.networks.mlm import check_required
from audiomask.networks.mlm.config import PAPER, MLMConfig
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig

CONFIG = MLMConfig(4, 1024, 32, 512, 44_100)


def test_pairs_that_belong_together() -> None:
    check_required(CONFIG, {"vqvae": VQVAEConfig()})
    check_required(replace(CONFIG, levels=2), {"vqvae": VQVAEConfig()})  # the first of its levels
    check_required(MLMConfig(1, 512, 64, 16, 44_100, **PAPER), {"vqvae": PaperConfig()})


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
    with pytest.raises(ConfigError) as caught:
        check_required(replace(CONFIG, **{name: value}), {"vqvae": VQVAEConfig()})
    assert str(caught.value) == words
