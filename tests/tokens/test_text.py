"""Token files as text: what they look like, and errors that name the line or field."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.errors import TokensError
from audiomask.tokens import Tokens, load_tokens, save_tokens


def test_the_text_is_what_the_design_says(make: Callable[..., Tokens], tmp_path: Path) -> None:
    codes = torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], dtype=torch.int16)
    tokens = make(codes=codes, num_samples=1000, sample_rate=44_100, stereo="mid-side")
    save_tokens(tokens, tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text().splitlines() == [
        "# audiomask tokens 2",
        "# sample_rate: 44100",
        "# hop_length: 512",
        "# num_samples: 1000",
        "# codebook_size: 1024",
        "# model_sample_rate: 44100",
        "# fingerprint: sha256:0123abcd",
        "# stereo: mid-side",
        "# channels: 2",
        "# levels: 2",
        "# frames: 2",
        "1 3 5 7",
        "2 4 6 8",
    ]


@pytest.fixture
def good(make: Callable[..., Tokens], tmp_path: Path) -> Path:
    """A file of four frames of two levels."""
    save_tokens(make(1, 2, 4), tmp_path / "good.txt", "text")
    return tmp_path / "good.txt"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tokens 2\n", "tokens 1\n", "format 'audiomask tokens 1'"),
        ("tokens 2\n", "tokens 1\n", "reads 'audiomask tokens 2'"),
        ("tokens 2\n", "tokens 3\n", "format 'audiomask tokens 3'"),
        ("# levels: 2\n", "", "does not tell levels"),
        ("# levels: 2\n", "# levels: two\n", "levels is 'two'"),
        ("# levels: 2\n", "# levels: 2\n# levels: 3\n", "line 11: tells levels again"),
        ("# levels: 2\n", "# levels: 99999999999999999999\n", "levels is"),
        ("# levels: 2\n", "# levels: 3\n", "line 12: has 2 codes; a frame has 3"),
        ("# channels: 1\n", "# channels: \u0661\n", "channels is"),
        ("# frames: 4\n", "# frames: 5\n", "has 4 frames, not the 5"),
        ("# fingerprint: sha256:0123abcd\n", "", "does not tell fingerprint"),
        ("# stereo: separate\n", "", "does not tell stereo"),
        ("# stereo: separate\n", "# stereo: both\n", "stereo is 'both'"),
        ("# stereo: separate\n", "# stereo: mid-side\n", "channels is 1, not 2"),
        ("# num_samples: 1671\n", "# num_samples: 9007199254740992\n", "do not fit"),
        ("# frames: 4\n", "# frames: 4\n1 1 1\n", "line 12: has 3 codes"),
        ("# frames: 4\n", "# frames: 4\n1 -1\n", "line 12: '-1' is not a code"),
        ("# frames: 4\n", "# frames: 4\n1 1_0\n", "line 12: '1_0' is not a code"),
        ("# frames: 4\n", "# frames: 4\n1 1024\n", "line 12: '1024' is not a code below 1024"),
        ("# frames: 4\n", "# frames: 4\n1 0x1\n", "line 12: '0x1' is not a code"),
        ("# frames: 4\n", "# frames: 4\n\n", "line 12: has 0 codes"),
        ("# frames: 4\n", "# frames: 4\n" + "1 " * 9999 + "\n", "line 12: is too long"),
    ],
)
def test_wrong_text_names_the_line_or_field(good: Path, old: str, new: str, words: str) -> None:
    text = good.read_text()
    assert old in text
    path = good.with_name("bad.txt")
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TokensError) as caught:
        load_tokens(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_text_by_other_hands(good: Path, same: Callable[..., bool]) -> None:
    text = good.read_text()
    changed = text.replace("# frames: 4\n", "# a remark: here\n#\n").replace("\n", "\r\n")
    other = good.with_name("other.txt")
    other.write_bytes(changed.encode())
    assert same(load_tokens(other), load_tokens(good))


def test_a_wide_frame_is_not_a_long_line(
    make: Callable[..., Tokens], same: Callable[..., bool], tmp_path: Path
) -> None:
    tokens = make(32, 64, 2, 2**31 - 1)
    save_tokens(tokens, tmp_path / "a.txt", "text")
    assert same(load_tokens(tmp_path / "a.txt"), tokens)


def test_long_text_takes_memory_like_its_codes(
    make: Callable[..., Tokens], same: Callable[..., bool], tmp_path: Path
) -> None:
    tokens = make(2, 4, 30_000)
    save_tokens(tokens, tmp_path / "long.txt", "text")
    tracemalloc.start()
    loaded = load_tokens(tmp_path / "long.txt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same(loaded, tokens)
    assert peak < 4 * tokens.codes.numel() * np.dtype(np.int32).itemsize
