"""Configurations that make no mask U-Net are refused, and say why."""

from dataclasses import replace

import pytest

from audiomask.errors import ConfigError
from audiomask.networks.masks import build_masks
from audiomask.networks.masks.config import LONGEST, MasksConfig
from audiomask.networks.stems import STEMS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stems": ()}, "stems are (); they must be names"),
        ({"stems": [1, 2]}, "stems are (1, 2); they must be names"),
        ({"sample_rate": 999}, "sample_rate is 999; it must be at least 1000"),
        ({"dim": 256.0}, "dim is 256.0; it must be a whole number from 1"),
        ({"heads": True}, "heads is True; it must be a whole number from 1"),
        ({"hop_length": 0}, "hop_length is 0; it must be a whole number from 1"),
        ({"layers": -1}, "layers is -1; it must be a whole number from 0"),
        ({"layers": 1 << 40}, f"layers is {1 << 40}; it must be a whole number from 0"),
        ({"channels": ()}, "channels are (); it takes 1 to 16 stages"),
        ({"channels": (4,) * 17}, f"channels are {(4,) * 17}; it takes 1 to 16 stages"),
        ({"channels": (4, 0)}, "channels[1] is 0; it must be a whole number from 1"),
        ({"channels": (4, "6")}, "channels[1] is '6'; it must be a whole number from 1"),
        ({"bands": 100}, "bands is 100; it must be a multiple of 16"),
        ({"bands": -16}, "bands is -16; it must be a whole number from 1"),
        ({"stft_size": 512}, "stft_size is 512; it must be from 1024 to 65536"),
        ({"stft_size": 1 << 17}, "stft_size is 131072; it must be from 1024 to 65536"),
        ({"window": LONGEST + 1}, f"window is {LONGEST + 1}; it must be {LONGEST} at most"),
        ({"window": "long"}, "window is 'long'; it must be a whole number from 1"),
        ({"kernel": 4}, "kernel is 4; it must be odd, or 0 for none"),
        ({"audio_channels": 3}, "audio_channels is 3; it must be 1 or 2"),
        ({"audio_channels": 0}, "audio_channels is 0; it must be a whole number from 1"),
        ({"dim": 252}, "dim is 252; it must be a multiple of twice the heads"),
    ],
)
def test_what_makes_no_model_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(MasksConfig(), **changes)
    assert str(caught.value) == words


def test_lists_are_taken_as_json_has_them() -> None:
    model = build_masks(
        "default", {"stems": ["a", "b"], "channels": [4, 6], "dim": 16, "layers": 0}
    )
    assert model.config.stems == ("a", "b")
    assert model.config.channels == (4, 6)


def test_the_default_sees_six_seconds_at_least() -> None:
    config = MasksConfig()
    assert config.window * config.hop_length / config.sample_rate >= 6
    assert config.stems == STEMS == ("guitar", "piano", "bass", "drums", "vocals")
    assert config.audio_channels == 2


@pytest.mark.parametrize(
    ("preset", "settings", "reason"),
    [
        ("paper", {}, "no masks preset 'paper'"),
        ("default", {"colour": 1}, "colour"),
        ("default", {"bands": 9}, "bands is 9"),
    ],
)
def test_what_no_preset_has(preset: str, settings: dict[str, int], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_masks(preset, settings)
