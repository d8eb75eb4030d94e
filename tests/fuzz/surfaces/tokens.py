"""Token files of both formats.

An input is the file after its first byte; after an ``S`` it is lines ``name=value`` of metadata, an
empty line and packed codes, of which a sound safetensors file is made: so bytes that are changed at
random reach what lies behind that library.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import safetensors.numpy
import torch

from audiomask.engine import Engine
from audiomask.tokens import Tokens, load_tokens, save_tokens
from audiomask.tokens.content import VERSION, describe
from audiomask.tokens.tensors import write_tensors
from audiomask.tokens.text import write_text
from surfaces.tiny import CODES, HOP, RATE, save_tiny

#: what stands for the fingerprint of the VQ-VAE that decodes what is accepted
KNOWN = "tiny"
WORDS = (
    *(f"{name}=".encode() for name in ("format", "frames", "levels", "channels", "num_samples")),
    *(f"# {name}: ".encode() for name in ("frames", "levels", "channels", "codebook_size")),
    b"sample_rate=", b"model_sample_rate=", b"hop_length=", b"codebook_size=", b"stereo=",
    b"mid-side", b"separate", b"fingerprint=", VERSION.encode(), b"# ", b"\r\n", b"\n\n",
    b"9007199254740992", b"2147483647", b"1000000", b"1024", b"1048576", b'"data_offsets"', b'"U8"',
    b'"dtype"', b'"shape"', b"__metadata__", b"18446744073709551615", b"[]", b"{}", b"\\u0000",
)  # fmt: skip
# frames x channels of what is decoded
_MOST = 64


@functools.cache
def engine() -> Engine:
    """A tiny VQ-VAE."""
    folder = Path(tempfile.mkdtemp(prefix="audiomask-fuzz-"))
    save_tiny(folder)
    return Engine(folder, "cpu")


def attempt(data: bytes, folder: Path) -> None:
    """Read a file; what is read is written and read again, and decoded."""
    path = folder / "input.tokens"
    path.write_bytes(_built(data[1:]) if data[:1] == b"S" else data[1:])
    tokens = load_tokens(path)
    for format in ("safetensors", "text"):
        save_tokens(tokens, path, format, overwrite=True)
        again = load_tokens(path)
        assert torch.equal(again.codes, tokens.codes)
        assert describe(again) == describe(tokens)
    if tokens.fingerprint == KNOWN and tokens.channels * tokens.frames <= _MOST:
        _decode(tokens)


def _built(data: bytes) -> bytes:
    about, _, packed = data.partition(b"\n\n")
    lines = about.decode("utf-8", "replace").split("\n")
    fields = {name: text for name, _, text in (line.partition("=") for line in lines)}
    codes = torch.frombuffer(bytearray(packed), dtype=torch.uint8) if packed else torch.empty(0)
    return safetensors.numpy.save({"codes": codes.numpy()}, fields)


def _decode(tokens: Tokens) -> None:
    ours = engine().fingerprints["vqvae"]
    done = 0
    for block in engine().detokenize(dataclasses.replace(tokens, fingerprint=ours)):
        assert block.shape[0] == tokens.channels
        assert block.isfinite().all()
        done += block.shape[1]
    assert done == tokens.num_samples


def seeds() -> list[bytes]:
    """Tokens of one and two channels, in both formats and as lines of metadata."""
    found = []
    for channels, stereo in ((1, "separate"), (2, "mid-side")):
        tokens = Tokens(
            codes=(torch.arange(channels * 2 * 5) % CODES).view(channels, 2, 5).to(torch.int16),
            sample_rate=44_100,
            num_samples=800,
            hop_length=HOP,
            codebook_size=CODES,
            fingerprint=KNOWN,
            model_sample_rate=RATE,
            stereo=stereo,
        )
        lines = "\n".join(f"{name}={text}" for name, text in describe(tokens).items())
        *_, packed = write_tensors(tokens)
        found += [
            b"R" + b"".join(write_tensors(tokens)),
            b"R" + b"".join(write_text(tokens)),
            b"S" + f"format={VERSION}\n{lines}\n\n".encode() + packed,
        ]
    return found
