"""Configurations that make no spectrogram model are refused, and say why."""

from dataclasses import replace

import pytest

from audiomask.errors import ConfigError
from audiomask.kinds import KINDS
from audiomask.networks.spectrogram import PRESETS, SpectrogramConfig, build_spectrogram


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sample_rate": 999}, "sample_rate is 999; it must be at least 1000"),
        ({"dim": 256.0}, "dim is 256.0; it must be a whole number from 1"),
        ({"heads": True}, "heads is True; it must be a whole number from 1"),
        ({"layers": 65}, "layers is 65; it must be 64 at most"),
        ({"target_layer": 7}, "target_layer is 7; there are 6"),
        ({"bands": 1}, "bands is 1; it must be at least 2"),
        ({"stft_size": 512}, "stft_size is 512; it must be from 1024 to 65536"),
        ({"window": 31}, "window is 31; it must be even, and 16384 at most"),
        ({"window": 16386}, "window is 16386; it must be even, and 16384 at most"),
        ({"exponent": 0}, "exponent is 0; it must be more than 0"),
        ({"exponent": float("nan")}, "exponent is nan; it must be from 0 to 1"),
        ({"kernel": 4}, "kernel is 4; it must be odd, or 0 for none"),
        ({"dim": 252}, "dim is 252; it must be a multiple of twice the heads"),
        ({"share_layers": 1}, "share_layers is 1; it must be true or false"),
        ({"masked_share": 1.0}, "masked_share is 1.0; it must be between 0 and 1"),
        ({"masked_share": 2}, "masked_share is 2; it must be from 0 to 1"),
        ({"longest_span": 3}, "longest_span is 3; it must be from 4 to 144"),
        ({"longest_span": 145}, "longest_span is 145; it must be from 4 to 144"),
        ({"replaced_share": 0.3}, "replaced_share is 0.3; with blank_share it must be 1 at most"),
        ({"separator": 7}, "separator is 7; it must be even, and 144 at most with twice the blank"),
        ({"blank": 70}, "separator is 8; it must be even, and 144 at most with twice the blank"),
        ({"head": "mask"}, "head is 'mask'; it must be share or magnitudes"),
        ({"targets": ["mfcc"]}, "targets is ['mfcc']; it must be none or mfcc or layer or vqvae"),
        ({"mask_value": "zeros"}, "mask_value is zeros; a share needs ones"),
        ({"replacement": "frames"}, "replacement is frames; a share needs noise"),
        (
            {"targets": "none", "magnitude_weight": 0},
            "targets is none; without magnitude_weight it must be another",
        ),
        (
            {"adversary_weight": 1, "magnitude_weight": 0},
            "adversary_weight is set; it needs magnitude_weight",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_model_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(SpectrogramConfig(), **changes)  # type: ignore[arg-type]
    assert str(caught.value) == words


def test_the_registry_names_the_presets() -> None:
    assert tuple(PRESETS) == KINDS["spectrogram"].presets


def test_presets_are_settings_of_one_size_and_differ() -> None:
    configs = {name: SpectrogramConfig(**settings) for name, settings in PRESETS.items()}
    assert {(c.dim, c.layers, c.bands, c.hop_length) for c in configs.values()} == {
        (256, 6, 256, 1024)
    }
    assert len(set(configs.values())) == len(configs)
    albert, mockingjay = configs["audio-albert"], configs["mockingjay"]
    assert replace(albert, share_layers=False) == mockingjay
    tera = replace(configs["tera"], band_block=0.0, noise_prob=0.0)
    assert tera == mockingjay
    default = configs["default"]
    assert default.window * default.hop_length / default.sample_rate == pytest.approx(6.7, abs=0.1)


@pytest.mark.parametrize(
    ("preset", "settings", "reason"),
    [
        ("paper", {}, "no spectrogram preset 'paper'"),
        ("default", {"colour": 1}, "colour"),
        ("tera", {"bands": 0}, "bands is 0"),
    ],
)
def test_what_no_preset_has(preset: str, settings: dict[str, int], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_spectrogram(preset, settings)
