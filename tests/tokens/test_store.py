"""Files of either format: round trips, pipes, whole or absent, cut and damaged."""

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import AudioFileError, TokensError, UsageError
from audiomask.tokens import Format, Tokens, load_tokens, save_tokens

FORMATS: tuple[Format, ...] = ("safetensors", "text")

Make = Callable[..., Tokens]
Same = Callable[[Tokens, Tokens], bool]


@given(
    channels=st.integers(1, 3),
    levels=st.integers(1, 9),
    frames=st.integers(1, 40),
    size=st.sampled_from([1, 2, 512, 1024, 32_768, 32_769, 2**31 - 1]),
    stereo=st.sampled_from(["separate", "mid-side"]),
    format=st.sampled_from(FORMATS),
)
def test_both_formats_round_trip(
    make: Make,
    same: Same,
    channels: int,
    levels: int,
    frames: int,
    size: int,
    stereo: str,
    format: Format,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.tokens"
    tokens = make(channels, levels, frames, size, stereo=stereo if channels == 2 else "separate")
    save_tokens(tokens, path, format, overwrite=True)
    assert same(load_tokens(path), tokens)


@pytest.mark.parametrize("format", FORMATS)
def test_codes_may_lie_in_any_order(make: Make, same: Same, format: Format, tmp_path: Path) -> None:
    tokens = make(2, 3, 50)
    strided = make(codes=tokens.codes.permute(2, 0, 1).contiguous().permute(1, 2, 0))
    save_tokens(strided, tmp_path / "a", format)
    assert same(load_tokens(tmp_path / "a"), tokens)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_tokens_make_the_same_bytes(make: Make, format: Format, tmp_path: Path) -> None:
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
def test_pipes(make: Make, same: Same, format: Format, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_terminal_takes_text_only(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Standard(terminal=True))
    save_tokens(make(), "-", "text")
    with pytest.raises(UsageError, match="terminal"):
        save_tokens(make(), "-")


@pytest.mark.parametrize("format", FORMATS)
def test_outputs_are_whole_or_absent(
    make: Make, format: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.setattr("audiomask.tokens.store.write_blocks", full)
    with pytest.raises(AudioFileError, match="No space left"):
        save_tokens(make(), path, format, overwrite=True)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_is_noticed(make: Make, format: Format, tmp_path: Path) -> None:
    save_tokens(make(1, 2, 5), tmp_path / "whole", format)
    whole = (tmp_path / "whole").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(TokensError):
            load_tokens(tmp_path / "cut")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="no such file"):
        load_tokens(tmp_path / "none")
    with pytest.raises(TokensError, match="is a folder"):
        load_tokens(tmp_path)


@given(data=st.data(), format=st.sampled_from(FORMATS))
def test_damage_is_noticed_or_harmless(
    make: Make, data: st.DataObject, format: Format, tmp_path_factory: pytest.TempPathFactory
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
