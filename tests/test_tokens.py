from __future__ import annotations

import dataclasses
import io
import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import AudioFileError, TokensError, UsageError
from audiomask.tokens import Format, Tokens, load_tokens, save_tokens

FORMATS: tuple[Format, ...] = ("safetensors", "text")


def make(channels: int = 2, levels: int = 3, frames: int = 50, size: int = 1024, **more) -> Tokens:
    codes = torch.randint(size, (channels, levels, frames), generator=torch.Generator())
    fields = {
        "codes": codes.to(torch.int16 if size <= 32_768 else torch.int32),
        "sample_rate": 48_000,
        "num_samples": max((frames - 1) * 512 * 48_000 // 44_100, 1),
        "hop_length": 512,
        "codebook_size": size,
        "fingerprint": "sha256:0123abcd",
        "model_sample_rate": 44_100,
    }
    return Tokens(**{**fields, **more})


def same(one: Tokens, other: Tokens) -> bool:
    fields = [field.name for field in dataclasses.fields(Tokens) if field.name != "codes"]
    return (
        one.codes.dtype == other.codes.dtype
        and torch.equal(one.codes, other.codes)
        and all(getattr(one, field) == getattr(other, field) for field in fields)
    )


@given(
    channels=st.integers(1, 3),
    levels=st.integers(1, 9),
    frames=st.integers(1, 40),
    size=st.sampled_from([1, 2, 512, 1024, 32_768, 32_769, 2**31 - 1]),
    format=st.sampled_from(FORMATS),
)
def test_both_formats_round_trip(
    channels: int,
    levels: int,
    frames: int,
    size: int,
    format: Format,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.tokens"
    tokens = make(channels, levels, frames, size)
    save_tokens(tokens, path, format, overwrite=True)
    assert same(load_tokens(path), tokens)


def test_numbers_about_it() -> None:
    tokens = make(2, 4, 100, 1024, num_samples=48_000)
    assert (tokens.channels, tokens.levels, tokens.frames) == (2, 4, 100)
    assert tokens.duration == 1.0
    assert tokens.bitrate == 2 * 4 * 100 * 10
    assert make(1, 1, 100, 513, num_samples=48_000).bitrate == 1000


def test_the_text_is_what_the_design_says(tmp_path: Path) -> None:
    codes = torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], dtype=torch.int16)
    tokens = make(codes=codes, num_samples=1000, sample_rate=44_100)
    save_tokens(tokens, tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text().splitlines() == [
        "# audiomask tokens 1",
        "# sample_rate: 44100",
        "# hop_length: 512",
        "# num_samples: 1000",
        "# codebook_size: 1024",
        "# model_sample_rate: 44100",
        "# fingerprint: sha256:0123abcd",
        "# channels: 2",
        "# levels: 2",
        "# frames: 2",
        "1 3 5 7",
        "2 4 6 8",
    ]


def test_the_library_reads_our_safetensors_and_we_read_its(tmp_path: Path) -> None:
    tokens = make()
    save_tokens(tokens, tmp_path / "ours")
    with safetensors.safe_open(tmp_path / "ours", framework="pt") as file:
        about = file.metadata()
        assert torch.equal(file.get_tensor("codes"), tokens.codes)
    assert about["num_samples"] == str(tokens.num_samples)
    safetensors.torch.save_file({"codes": tokens.codes}, tmp_path / "theirs", metadata=about)
    assert same(load_tokens(tmp_path / "theirs"), tokens)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_tokens_make_the_same_bytes(format: Format, tmp_path: Path) -> None:
    for name in "ab":
        save_tokens(make(), tmp_path / name, format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


class Standard:
    """Standard input and output as bytes in memory, or as a terminal."""

    closed = False

    def __init__(self, data: bytes = b"", terminal: bool = False) -> None:
        self.buffer, self.terminal = io.BytesIO(data), terminal

    def isatty(self) -> bool:
        return self.terminal

    def flush(self) -> None:
        self.buffer.flush()


@pytest.mark.parametrize("format", FORMATS)
def test_pipes(format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Standard()
    monkeypatch.setattr("sys.stdout", out)
    save_tokens(make(), "-", format)
    monkeypatch.setattr("sys.stdin", Standard(out.buffer.getvalue()))
    assert same(load_tokens("-"), make())
    monkeypatch.setattr("sys.stdin", Standard(out.buffer.getvalue()[:-5]))
    with pytest.raises(TokensError, match=r"^standard input: "):
        load_tokens("-")
    monkeypatch.setattr("sys.stdin", Standard())
    with pytest.raises(TokensError, match="standard input: is empty"):
        load_tokens("-")


def test_a_terminal_takes_text_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Standard(terminal=True))
    save_tokens(make(), "-", "text")
    with pytest.raises(UsageError, match="terminal"):
        save_tokens(make(), "-")


@pytest.mark.parametrize("format", FORMATS)
def test_outputs_are_whole_or_absent(
    format: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "a.tokens"
    save_tokens(make(), path, format)
    old = path.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        save_tokens(make(frames=60), path, format)
    with pytest.raises(TokensError, match="codebook"):
        save_tokens(make(codebook_size=2), path, format, overwrite=True)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audiomask.tokens.store._write", full)
    with pytest.raises(AudioFileError, match="No space left"):
        save_tokens(make(), path, format, overwrite=True)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


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
        ({"codebook_size": 10}, "not in a codebook of 10"),
        ({"codes": torch.full((1, 1, 50), -1, dtype=torch.int16)}, "code -1"),
        ({"codes": torch.zeros(1, 1, 50)}, "float32"),
        ({"codes": torch.zeros(1, 50, dtype=torch.int16)}, r"\[1, 50\]"),
        ({"codes": torch.zeros(1, 0, 50, dtype=torch.int16)}, "levels is 0"),
        ({"codes": torch.zeros(1, 1, 0, dtype=torch.int16)}, "0 frames do not fit"),
        ({"codes": torch.zeros(1, 1, 40, dtype=torch.int16)}, "cut short"),
        ({"codes": torch.zeros(1, 1, 70, dtype=torch.int16)}, "do not fit"),
        ({"num_samples": 10**15}, "do not fit"),
    ],
)
def test_invalid_tokens_name_the_field(change: dict, words: str) -> None:
    make().validate()
    with pytest.raises(TokensError, match=words):
        make(**change).validate()


def text_of(tmp_path: Path) -> str:
    save_tokens(make(1, 2, 4), tmp_path / "good.txt", "text")
    return (tmp_path / "good.txt").read_text()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tokens 1\n", "tokens 2\n", "format 'audiomask tokens 2'"),
        ("# levels: 2\n", "", "does not tell levels"),
        ("# levels: 2\n", "# levels: two\n", "levels is 'two'"),
        ("# levels: 2\n", "# levels: 2\n# levels: 3\n", "line 10: tells levels again"),
        ("# levels: 2\n", "# levels: 99999999999999999999\n", "levels is"),
        ("# levels: 2\n", "# levels: 3\n", "line 11: has 2 codes; a frame has 3"),
        ("# channels: 1\n", "# channels: \u0661\n", "channels is"),
        ("# frames: 4\n", "# frames: 5\n", "has 4 frames, not the 5"),
        ("# fingerprint: sha256:0123abcd\n", "", "does not tell fingerprint"),
        ("# num_samples: 1671\n", "# num_samples: 9007199254740992\n", "do not fit"),
        ("# frames: 4\n", "# frames: 4\n1 1 1\n", "line 11: has 3 codes"),
        ("# frames: 4\n", "# frames: 4\n1 -1\n", "line 11: '-1' is not a code"),
        ("# frames: 4\n", "# frames: 4\n1 1_0\n", "line 11: '1_0' is not a code"),
        ("# frames: 4\n", "# frames: 4\n1 1024\n", "line 11: '1024' is not a code below 1024"),
        ("# frames: 4\n", "# frames: 4\n1 0x1\n", "line 11: '0x1' is not a code"),
        ("# frames: 4\n", "# frames: 4\n\n", "line 11: has 0 codes"),
        ("# frames: 4\n", "# frames: 4\n" + "1 " * 9999 + "\n", "line 11: is too long"),
    ],
)
def test_wrong_text_names_the_line_or_field(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = text_of(tmp_path)
    assert old in text
    path = tmp_path / "bad.txt"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TokensError) as caught:
        load_tokens(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_text_by_other_hands(tmp_path: Path) -> None:
    text = text_of(tmp_path)
    changed = text.replace("# frames: 4\n", "# a remark: here\n#\n").replace("\n", "\r\n")
    (tmp_path / "b.txt").write_bytes(changed.encode())
    assert same(load_tokens(tmp_path / "b.txt"), load_tokens(tmp_path / "good.txt"))


def test_a_wide_frame_is_not_a_long_line(tmp_path: Path) -> None:
    tokens = make(32, 64, 2, 2**31 - 1)
    save_tokens(tokens, tmp_path / "a.txt", "text")
    assert same(load_tokens(tmp_path / "a.txt"), tokens)


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_is_noticed(format: Format, tmp_path: Path) -> None:
    save_tokens(make(1, 2, 5), tmp_path / "whole", format)
    whole = (tmp_path / "whole").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(TokensError):
            load_tokens(tmp_path / "cut")


def tensors(metadata: dict[str, str] | None = None, **arrays: torch.Tensor) -> bytes:
    return safetensors.torch.save(arrays or {"codes": make().codes}, metadata)


def test_other_safetensors_are_refused(tmp_path: Path) -> None:
    save_tokens(make(), tmp_path / "good")
    with safetensors.safe_open(tmp_path / "good", framework="pt") as file:
        about = file.metadata()
    codes = make().codes
    terabytes = json.dumps(
        {"codes": {"dtype": "I16", "shape": [1, 1, 2**40], "data_offsets": [0, 2**41]}}
    ).encode()
    for content, words in [
        (tensors(), "has format ''"),
        (tensors({**about, "format": "pt"}), "has format 'pt'"),
        (tensors(about, codes=codes, more=codes + 1), "must hold one tensor"),
        (tensors(about, other=codes), "must hold one tensor"),
        (tensors(about, codes=codes.float()), "codes are F32"),
        (tensors(about, codes=codes.long()), "codes are I64"),
        (tensors(about, codes=codes[0]), "not I16 or I32"),
        (tensors(about, codes=codes[:, :, :0]), "not I16 or I32"),
        (tensors({**about, "hop_length": "0"}), "hop_length is '0'"),
        (tensors({k: v for k, v in about.items() if k != "num_samples"}), "num_samples"),
        (struct.pack("<Q", len(terabytes)) + terabytes, "not a whole safetensors file"),
        (struct.pack("<Q", 2**63) + b"{", "not a whole safetensors file"),
        (b"\x80\x04\x95 pickled", "is not a token file"),
        (b"RIFF....WAVE", "is not a token file"),
    ]:
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(TokensError) as caught:
            load_tokens(tmp_path / "bad")
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="no such file"):
        load_tokens(tmp_path / "none")
    with pytest.raises(TokensError, match="is a folder"):
        load_tokens(tmp_path)


@given(data=st.data(), format=st.sampled_from(FORMATS))
def test_damage_is_noticed_or_harmless(
    data: st.DataObject, format: Format, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tokens"
    save_tokens(make(1, 2, 5), path, format, overwrite=True)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    tracemalloc.start()
    try:
        load_tokens(path).validate()
    except TokensError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2_000_000


def test_long_text_takes_memory_like_its_codes(tmp_path: Path) -> None:
    frames = 30_000
    tokens = make(2, 4, frames)
    save_tokens(tokens, tmp_path / "long.txt", "text")
    tracemalloc.start()
    loaded = load_tokens(tmp_path / "long.txt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same(loaded, tokens)
    assert peak < 4 * tokens.codes.numel() * np.dtype(np.int32).itemsize
