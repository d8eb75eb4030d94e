"""Configurations that make no model are refused, and say why."""

from dataclasses import replace

import pytest

from audiomask.errors import ConfigError
from audiomask.networks.mlm.config import MAX_WINDOW, PAPER, MLMConfig

CONFIG = MLMConfig(4, 1024, 32, 512, 44_100)
PAPERS = MLMConfig(1, 512, 64, 16, 44_100, **PAPER)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layout": "laid"}, "layout is 'laid'; it must be aligned or concatenated"),
        ({"separated": 1.5}, "separated is 1.5; it must be from 0 to 1"),
        ({"dim": 256.0}, "dim is 256.0; it must be a whole number from 1"),
        ({"stems": (1, 2)}, "stems are (1, 2); they must be names"),
        ({"window": 575}, "window is 575; it must be a multiple of band_frames"),
        (
            {"window": MAX_WINDOW + 2},
            f"window is 16386; it must be from 1 to {MAX_WINDOW}",
        ),
        ({"band_stft": 1 << 20}, "band_stft is 1048576; it must be 65536 at most"),
        ({"kernel": 4}, "kernel is 4; it must be odd, or 0 for none"),
        ({"dim": 252}, "dim is 252; it must be a multiple of twice the heads"),
    ],
)
def test_what_makes_no_model_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(CONFIG, **changes)
    assert str(caught.value) == words


def test_mixture_and_stem_need_a_frame_each_in_one_window() -> None:
    replace(PAPERS, window=3)
    with pytest.raises(ConfigError, match="window is 2; it must be from 3 to"):
        replace(PAPERS, window=2)


def test_a_model_without_bands_needs_no_spectrum_of_them() -> None:
    assert replace(PAPERS, band_stft=1 << 20).bands == 0
