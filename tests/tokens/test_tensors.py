"""Token files as safetensors: the library reads them, their size, and lying headers."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import TokensError
from audiomask.tokens import Tokens, load_tokens, save_tokens
from audiomask.tokens.packing import unpack


def parts(path: Path) -> tuple[dict[str, str], torch.Tensor]:
    """Metadata and bytes of a file, as the library reads them."""
    with safetensors.safe_open(path, framework="pt") as file:
        assert list(file.keys()) == ["codes"]
        return file.metadata(), file.get_tensor("codes")


def test_the_library_reads_our_files_and_we_read_its(
    make: Callable[..., Tokens], same: Callable[..., bool], tmp_path: Path
) -> None:
    tokens = make(stereo="mid-side")
    save_tokens(tokens, tmp_path / "ours")
    about, packed = parts(tmp_path / "ours")
    assert about == {
        "format": "audiomask tokens 2",
        "sample_rate": "48000",
        "hop_length": "512",
        "num_samples": str(tokens.num_samples),
        "codebook_size": "1024",
        "model_sample_rate": "44100",
        "fingerprint": "sha256:0123abcd",
        "stereo": "mid-side",
        "channels": "2",
        "levels": "3",
        "frames": "50",
    }
    assert (packed.dtype, packed.shape) == (torch.uint8, (2 * 3 * 50 * 10 // 8,))
    codes = unpack(packed.numpy().tobytes(), 10, 2 * 3 * 50)
    assert codes.tolist() == tokens.codes.flatten().tolist()
    safetensors.torch.save_file({"codes": packed}, tmp_path / "theirs", metadata=about)
    assert same(load_tokens(tmp_path / "theirs"), tokens)


@given(
    channels=st.integers(1, 2),
    levels=st.integers(1, 8),
    frames=st.integers(1, 2_000),
    size=st.sampled_from([1, 2, 500, 512, 1024, 1025, 4096, 32_769, 2**31 - 1]),
)
def test_a_file_is_as_large_as_its_bitrate(
    make: Callable[..., Tokens],
    channels: int,
    levels: int,
    frames: int,
    size: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "sized.tokens"
    tokens = make(channels, levels, frames, size, fingerprint="0123456789abcdef")
    save_tokens(tokens, path, overwrite=True)
    least = tokens.bitrate * tokens.duration / 8
    assert least <= path.stat().st_size <= least + 600


def test_an_hour_in_flat_memory(make: Callable[..., Tokens], tmp_path: Path) -> None:
    tokens = make(2, 4, 86 * 3600)
    tracemalloc.start()
    save_tokens(tokens, tmp_path / "hour")
    load_tokens(tmp_path / "hour")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * tokens.codes.numel()


@pytest.fixture
def good(make: Callable[..., Tokens], tmp_path: Path) -> Path:
    """A whole file: 300 codes of ten bits in 375 bytes."""
    save_tokens(make(), tmp_path / "good")
    return tmp_path / "good"


def refused(path: Path, content: bytes) -> str:
    """Why a file with this content is refused, in one line, and without taking memory first."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(TokensError) as caught:
            load_tokens(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "audiomask tokens 1"}, "has format 'audiomask tokens 1'; this program reads"),
        ({"format": "pt"}, "has format 'pt'"),
        ({"hop_length": "0"}, "hop_length is '0'"),
        ({"num_samples": None}, "does not tell num_samples"),
        ({"codebook_size": None}, "does not tell codebook_size"),
        ({"frames": None}, "does not tell frames"),
        ({"stereo": None}, "does not tell stereo"),
        ({"stereo": "left"}, "stereo is 'left'"),
        ({"fingerprint": None}, "does not tell fingerprint"),
        ({"frames": "49"}, "2 channels, 3 levels, 49 frames of 10 bits are U8 [368]"),
        ({"levels": "4"}, "codes are U8 [375]"),
        ({"channels": "1"}, "codes are U8 [375]"),
        ({"channels": "3"}, "codes are U8 [375]"),
        ({"channels": "1025"}, "channels is '1025'"),
        ({"frames": str(2**53)}, f"{2**53} frames of 10 bits"),
        ({"codebook_size": "1025"}, "of 11 bits are U8 [413]"),
        ({"codebook_size": "512"}, "of 9 bits are U8 [338]"),
        ({"codebook_size": "600"}, "not in a codebook of 600"),
        ({"channels": "3", "levels": "2"}, None),  # as many codes: nothing tells
        ({"levels": "50", "frames": "3"}, "3 frames do not fit"),
    ],
)
def test_fields_that_lie(good: Path, change: dict[str, str | None], words: str | None) -> None:
    about, packed = parts(good)
    changed = {key: text for key, text in (about | change).items() if text is not None}
    content = safetensors.torch.save({"codes": packed}, changed)
    if words is None:
        good.write_bytes(content)
        load_tokens(good)
    else:
        assert words in refused(good.with_name("bad"), content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda packed: {"codes": packed, "more": packed + 1}, "must hold one tensor"),
        (lambda packed: {"other": packed}, "must hold one tensor"),
        (lambda packed: {"codes": packed.float()}, "codes are F32 [375]"),
        (lambda packed: {"codes": packed.bfloat16()}, "codes are BF16 [375]"),
        (lambda packed: {"codes": packed.to(torch.int8)}, "codes are I8 [375]"),
        (lambda packed: {"codes": packed[None]}, "codes are U8 [1, 375]"),
        (lambda packed: {"codes": packed.view((1,) * 999 + (-1,))}, "codes are U8 [1, 1, 1"),
        (lambda packed: {"codes": packed[:0]}, "codes are U8 [0]"),
        (lambda packed: {"codes": packed[:-1]}, "codes are U8 [374]"),
        (lambda packed: {"codes": packed.tile(2)}, "codes are U8 [750]"),
    ],
)
def test_tensors_that_are_no_codes(
    good: Path, change: Callable[[torch.Tensor], dict[str, torch.Tensor]], words: str
) -> None:
    about, packed = parts(good)
    found = refused(good.with_name("bad"), safetensors.torch.save(change(packed), about))
    assert words in found
    assert len(found) < 400


def test_padding_that_is_not_zero(
    make: Callable[..., Tokens], same: Callable[..., bool], tmp_path: Path
) -> None:
    tokens = make(1, 3, 7)  # 210 bits
    save_tokens(tokens, tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    for bit in range(8):
        changed = content[:-1] + bytes([content[-1] ^ 1 << bit])
        if bit < 2:
            (tmp_path / "other").write_bytes(changed)
            assert not same(load_tokens(tmp_path / "other"), tokens)
        else:
            assert "not zero" in refused(tmp_path / "bad", changed)


def test_files_of_before_and_of_others(make: Callable[..., Tokens], good: Path) -> None:
    about, packed = parts(good)
    before = {key: about[key] for key in ("sample_rate", "num_samples", "fingerprint")}
    before["format"] = "audiomask tokens 1"
    terabytes = json.dumps(
        {"codes": {"dtype": "U8", "shape": [2**41], "data_offsets": [0, 2**41]}}
    ).encode()
    for content, words in [
        (safetensors.torch.save({"codes": make().codes}, before), "format 'audiomask tokens 1'"),
        (safetensors.torch.save({"codes": packed}), "has format ''"),
        (struct.pack("<Q", len(terabytes)) + terabytes, "not a whole safetensors file"),
        (struct.pack("<Q", 2**63) + b"{", "not a whole safetensors file"),
        (b"\x80\x04\x95 pickled", "is not a token file"),
        (b"RIFF....WAVE", "is not a token file"),
    ]:
        assert words in refused(good.with_name("bad"), content)
