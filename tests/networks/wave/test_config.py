"""Configurations: what is refused, with the setting's name."""

from typing import Any

import pytest

from audiomask.errors import ConfigError
from audiomask.networks.wave import build_wave


@pytest.mark.parametrize(
    ("preset", "settings", "told"),
    [
        ("default", {"patch": 500}, "patch is 500; it must be a multiple of 128"),
        ("default", {"window": 1000}, "window is 1000; it must be a multiple of the patch"),
        ("default", {"orders": (4,)}, "orders, spans and blocks must be of the same number"),
        ("default", {"orders": ()}, "orders, spans and blocks must be of the same number"),
        ("default", {"orders": "abc"}, "orders is 'abc'; it must be of whole numbers from 1"),
        (
            "default",
            {"spans": (40, 4_096, 16_384, 131_072)},
            "a span is 40; it must be at least twice",
        ),
        ("default", {"refine_block": 100}, "a block is 100; it must divide the patch 512"),
        ("default", {"combine_block": 100}, "a block is 100; it must divide the patch 512"),
        ("default", {"run": 5}, "run is 5; it must divide targets (32) and fit into a window"),
        ("default", {"dim": 100}, "dim is 100; it must be a multiple of twice the heads"),
        ("default", {"layers": 65}, "layers is 65; it must be 64 at most"),
        ("default", {"decoder_layers": 65}, "decoder_layers is 65; it must be 64 at most"),
        ("default", {"history": 0}, "history is 0; it must be of whole numbers from 1"),
        ("default", {"components": 2.5}, "components is 2.5; it must be of whole numbers"),
        ("default", {"sample_rate": 10}, "sample_rate is 10; it must be at least 1000"),
        ("default", {"colour": 1}, "colour"),
        ("paper", {"window": 3_000}, "window is 3000; it must be a multiple of the patch"),
        ("paper", {"kernel": 6}, "kernel is 6; it must be odd"),
        ("paper", {"filters": ()}, "filters are 0; 1 to 64 are possible"),
        ("paper", {"head_dropout": 1.0}, "head_dropout is 1.0; it must be from 0 to less than 1"),
        ("paper", {"patch": 512, "orders": (4,)}, "orders"),
        ("large", {}, "no wave preset 'large'"),
    ],
)
def test_what_cannot_be_is_refused(preset: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_wave(preset, settings)
    assert told in str(caught.value)


def test_lists_of_a_checkpoint_are_taken() -> None:
    model = build_wave("default", {"orders": [4], "spans": [64], "blocks": [128]})
    assert (model.config.orders, model.config.spans) == ((4,), (64,))
