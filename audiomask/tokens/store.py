"""Token files: written completely or not at all, read in either format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from audiomask.audio import pipes
from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.errors import AudioFileError, TokensError
from audiomask.tokens.array import write_array
from audiomask.tokens.content import Tokens
from audiomask.tokens.tensors import read_tensors, write_tensors
from audiomask.tokens.text import MAGIC, read_text, write_text

Format = Literal["safetensors", "text", "npy"]
_NUMPY = b"\x93NUMPY"


def save_tokens(
    tokens: Tokens, path: Path | str, format: Format = "safetensors", overwrite: bool = False
) -> None:
    """Write tokens; the file appears complete or not at all.

    Args:
        tokens: validated before anything is written.
        path: the file, or ``"-"`` for standard output.
        format: ``"safetensors"``, ``"text"``, or ``"npy"`` for the codes alone, which
            ``load_tokens`` does not read.
        overwrite: whether an existing file may be replaced.

    Raises:
        TokensError: the tokens are not valid.
        UsageError: the file exists and may not be replaced.
        AudioFileError: it cannot be written. BrokenPipeError passes through.
    """
    tokens.validate()
    write = {"safetensors": write_tensors, "text": write_text, "npy": write_array}[format]
    blocks = write(tokens)
    if str(path) == "-":
        write_blocks(pipes.stdout_stream(binary=format != "text"), blocks, pipes.STDOUT_NAME)
        return
    with AtomicFile(Path(path), overwrite) as temporary:
        try:
            with temporary.open("wb") as out:
                write_blocks(out, blocks, str(path))
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise write_error(path, error) from error


def load_tokens(path: Path | str) -> Tokens:
    """Read tokens of either format.

    Args:
        path: the file, or ``"-"`` for standard input.

    Raises:
        TokensError: it cannot be read or is not a valid token file. The message names the file
            and the line or field.
        UsageError: standard input is a terminal.
    """
    name = pipes.STDIN_NAME if str(path) == "-" else str(path)
    spool: Path | None = None
    try:
        if str(path) == "-":
            spool = pipes.spool(pipes.stdin_stream(), name)
        elif pipes.check_readable(Path(path)):
            with open(path, "rb") as stream:
                spool = pipes.spool(stream, name)
    except AudioFileError as error:
        raise TokensError(str(error)) from error
    try:
        tokens = _load(Path(path) if spool is None else spool)
        tokens.validate()
        return tokens
    except (TokensError, OSError) as error:
        raise TokensError(f"{name}: {error}") from error
    finally:
        if spool is not None:
            pipes.discard(spool)


def _load(path: Path) -> Tokens:
    with path.open("rb") as stream:
        head = stream.read(len(MAGIC))
        if not head:
            raise TokensError("is empty")
        if head == MAGIC:
            stream.seek(0)
            return read_text(stream)
    if head.startswith(_NUMPY):
        raise TokensError(
            "is a NumPy array, which holds codes alone, without the sample rate, the length and "
            "the VQ-VAE they belong to: tokenize to .safetensors or .txt"
        )
    if head[8:9] != b"{":
        raise TokensError("is not a token file of audiomask")
    return read_tensors(path)


def write_blocks(stream: BinaryIO, blocks: Iterator[bytes], name: str) -> None:
    """Write a file's blocks to a stream; ``name`` is for errors."""
    try:
        for block in blocks:
            stream.write(block)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error(name, error) from error
