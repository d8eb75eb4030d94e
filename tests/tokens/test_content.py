"""Tokens themselves: what they say of themselves, and what does not fit together."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from audiomask.errors import TokensError
from audiomask.tokens import Tokens


def test_numbers_about_it(make: Callable[..., Tokens]) -> None:
    tokens = make(2, 4, 100, 1024, num_samples=48_000)
    assert (tokens.channels, tokens.levels, tokens.frames) == (2, 4, 100)
    assert tokens.duration == 1.0
    assert tokens.bitrate == 2 * 4 * 100 * 10
    assert make(1, 1, 100, 513, num_samples=48_000).bitrate == 1000
    assert make(1, 1, 100, 1, num_samples=48_000).bitrate == 100


def test_channels_are_coded_by_themselves_unless_told(make: Callable[..., Tokens]) -> None:
    assert make().stereo == "separate"
    make(2, stereo="mid-side").validate()
    for channels in (1, 3):
        make(channels).validate()
        with pytest.raises(TokensError, match=f"mid-side, but channels is {channels}, not 2"):
            make(channels, stereo="mid-side").validate()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"hop_length": -1}, "hop_length is -1"),
        ({"num_samples": 0}, "num_samples is 0"),
        ({"codebook_size": 2**31}, "codebook_size"),
        ({"fingerprint": ""}, "fingerprint"),
        ({"fingerprint": "two words"}, "fingerprint"),
        ({"fingerprint": "x" * 200}, "fingerprint"),
        ({"stereo": "joint"}, "stereo is 'joint', not separate or mid-side"),
        ({"stereo": ""}, "stereo is ''"),
        ({"codebook_size": 10}, "not in a codebook of 10"),
        ({"codes": torch.full((1, 1, 50), -1, dtype=torch.int16)}, "code -1"),
        ({"codes": torch.zeros(1, 1, 50)}, "float32"),
        ({"codes": torch.zeros(1, 50, dtype=torch.int16)}, r"\[1, 50\]"),
        ({"codes": torch.zeros(1, 0, 50, dtype=torch.int16)}, "levels is 0"),
        ({"codes": torch.zeros(1, 1, 0, dtype=torch.int16)}, "frames is 0"),
        ({"codes": torch.zeros(1, 1, 40, dtype=torch.int16)}, "cut short"),
        ({"codes": torch.zeros(1, 1, 70, dtype=torch.int16)}, "do not fit"),
        ({"num_samples": 10**15}, "do not fit"),
    ],
)
def test_invalid_tokens_name_the_field(
    make: Callable[..., Tokens], change: dict[str, Any], words: str
) -> None:
    make().validate()
    with pytest.raises(TokensError, match=words):
        make(**change).validate()
