"""Checkpoint folders: tiny ones, of which an input rewrites config.json and the weights.

The first byte of an input chooses the checkpoint. What follows, up to an empty line, is
config.json; ``$SHA`` in it is the digest of the weights, so that they are looked at, and ``$VQVAE``
the fingerprint of the VQ-VAE beside. The lines after it change it, or the weights:

    .name JSON        config.json's ``config`` has this value
    name DTYPE 2,3    that tensor has another type and shape, the file is laid out anew
    -name             that tensor is left out
    =name JSON        the header says this of it, whatever is true
    ~N HEX            bytes at N of the finished file
    <N                the file ends after N bytes
    >N                N zeros follow it
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from audiomask.audio.source import MemorySource
from audiomask.checkpoint.store import CONFIG_FILE, MODEL_FILE, sha256
from audiomask.cli.template import DEFAULT_TEMPLATE, fill_template
from audiomask.engine import Engine
from audiomask.infill.gaps import Gap
from surfaces.tiny import RATE, save_tiny

#: checkpoints by the first byte: preset and kind
BASES = {
    b"v": ("default", "vqvae"),
    b"p": ("paper", "vqvae"),
    b"m": ("default", "mlm"),
    b"c": ("paper", "mlm"),
    b"u": ("default", "masks"),
}
#: bits of the types that safetensors files can hold
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64,
    "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
WORDS = (
    *(f" {name} ".encode() for name in BITS),
    *(f'"{name}": '.encode() for name in ("format", "kind", "preset", "config", "sha256")),
    *(f'"{name}": '.encode() for name in ("requires", "vqvae", "mlm", "masks", "wave", "../vqvae")),
    *(f'"{name}": '.encode() for name in ("levels", "hop_length", "sample_rate", "stems")),
    *(f'"{name}": '.encode() for name in ("window", "bands", "band_stft", "band_frames", "blocks")),
    *(f"\n.{name} ".encode() for name in ("window", "band_stft", "band_frames", "blocks", "bands")),
    *(f"\n.{name} ".encode() for name in ("levels", "stems", "hop_length", "sample_rate", "heads")),
    *(f"\n.{name} ".encode() for name in ("layout", "kernel", "channels", "stft_size")),
    b"$SHA", b"$VQVAE", b"null", b"true", b"NaN", b"Infinity", b"-1", b"0", b"1.5", b'"x"', b"[]",
    b"{}", b'"../../x"', b'"\\ud800"', b'"\\u001b[2J"', b'"/etc/passwd"', b"1048576", b"\n\n",
    b"1000000000000", b"9223372036854775807", b".int8", b".scale", b"\n-", b"\n=", b"\n~", b"\n<",
    b"\n>", b'{"dtype":"F16","shape":[2],"data_offsets":[0,4]}', b"__metadata__", b"default",
)  # fmt: skip
# bytes of weights that are really written
_MOST = 1 << 20


class Base(NamedTuple):
    """A checkpoint to be rewritten, and the fingerprint of the VQ-VAE beside it."""

    folder: Path
    kind: str
    fingerprint: str
    config: str
    header: dict[str, Any]
    weights: bytes


@functools.cache
def base(first: bytes) -> Base:
    """The checkpoint that a byte chooses, in a folder of its own."""
    preset, kind = BASES[first]
    folder = Path(tempfile.mkdtemp(prefix="audiomask-fuzz-"))
    save_tiny(folder, preset)
    entries = json.loads((folder / kind / CONFIG_FILE).read_text())
    fingerprint = sha256(folder / "vqvae" / MODEL_FILE)[:16]
    content = (folder / kind / MODEL_FILE).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    entries["sha256"] = "$SHA"
    if kind == "mlm":
        entries["requires"] = {"vqvae": "$VQVAE"}
    config = json.dumps(entries)
    return Base(folder, kind, fingerprint, config, header, content[8 + size :])


def attempt(data: bytes, folder: Path) -> None:
    """Load a checkpoint, which has a folder of its own; what is accepted runs."""
    keys = list(BASES)
    sound = base(data[:1] if data[:1] in BASES else keys[data[0] % len(keys) if data else 0])
    top = sound.folder
    config, _, changes = data[1:].partition(b"\n\n")
    config = _reconfigured(config, changes)
    (top / sound.kind / MODEL_FILE).write_bytes(_rewritten(sound, changes[:4096]))
    digest = sha256(top / sound.kind / MODEL_FILE)
    config = config.replace(b"$SHA", digest.encode())
    config = config.replace(b"$VQVAE", sound.fingerprint.encode())
    (top / sound.kind / CONFIG_FILE).write_bytes(config)
    _use(Engine(top if sound.kind == "mlm" else top / sound.kind, "cpu"), sound.kind)


def _use(engine: Engine, kind: str) -> None:
    """Everything that a checkpoint is for, with a tenth of a second of sound."""
    audio = torch.rand(1, 900, generator=torch.Generator().manual_seed(0)) - 0.5
    source = MemorySource(audio, RATE)
    assert set(engine.fingerprints) <= {"vqvae", "mlm", "masks"}
    if kind == "vqvae":
        tokens = engine.tokenize(source)
        tokens.validate()
        assert sum(block.shape[1] for block in engine.detokenize(tokens)) == 900
        return
    for method in ("mask",) if kind == "masks" else ("wiener", "tokens"):
        stems = engine.stems(method)
        for stem in stems:
            place = fill_template(DEFAULT_TEMPLATE, "song", stem, "wav")
            assert len(place.parts) == 2
            place.exists()
        blocks = list(engine.separate(source, stems[:2], residual=True, method=method))
        assert sum(block["residual"].shape[1] for block in blocks) == 900
    if kind == "masks":
        return
    (filling,) = engine.infill(source, [Gap(300, 500)])
    assert filling.gap == Gap(300, 500)


def _reconfigured(config: bytes, changes: bytes) -> bytes:
    """config.json with the values that an input's lines give, where it is a whole one."""
    lines = [line[1:] for line in changes.split(b"\n")[:64] if line[:1] == b"."]
    if not lines:
        return config
    try:
        entries = json.loads(config)
        for line in lines:
            name, _, value = line.partition(b" ")
            entries["config"][name.decode()] = json.loads(value)
    except (ValueError, TypeError, LookupError, RecursionError):
        return config
    return json.dumps(entries).encode()


def _rewritten(sound: Base, changes: bytes) -> bytes:
    """The file of the weights, changed as an input's lines say."""
    header = {name: dict(entry) for name, entry in sound.header.items()}
    raw: dict[str, str] = {}
    after: list[tuple[str, str, str]] = []
    for line in changes.decode("utf-8", "replace").split("\n")[:64]:
        mark, rest = line[:1], line[1:]
        name, _, value = rest.partition(" ")
        if mark == "-":
            header.pop(rest, None)
        elif mark == "=":
            raw[name] = value
        elif mark in "<>~":
            after.append((mark, name, value))
        elif mark != ".":
            _lay_out(header, line)
    return _finished(_file(sound, header, raw), after)


def _lay_out(header: dict[str, Any], line: str) -> None:
    """Give a tensor another type and shape."""
    name, _, rest = line.partition(" ")
    dtype, _, shape = rest.partition(" ")
    sizes = [int(size) for size in shape.split(",") if size.isdecimal() and len(size) < 20]
    if dtype in BITS and len(sizes) <= 64:
        header[name] = {"dtype": dtype, "shape": sizes}


def _file(sound: Base, header: dict[str, Any], raw: dict[str, str]) -> bytes:
    payload, told = b"", []
    end = 0
    for name, entry in header.items():
        if "dtype" not in entry:  # the metadata
            told.append(f"{json.dumps(name)}:{json.dumps(entry)}")
            continue
        count = 1
        for size in entry["shape"]:
            count *= size
        length = -(-count * BITS[entry["dtype"]] // 8)
        start, stop = sound.header.get(name, {}).get("data_offsets", (0, 0))
        own = sound.weights[start:stop]
        if len(payload) + length <= _MOST:
            payload += own if len(own) == length else bytes(length)
        offsets = [end, end + length]
        end += length
        text = raw.pop(name, None) or json.dumps({**entry, "data_offsets": offsets})
        told.append(f"{json.dumps(name)}:{text}")
    told += [f"{json.dumps(name)}:{text}" for name, text in raw.items()]
    head = ("{" + ",".join(told) + "}").encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + payload


def _finished(content: bytes, after: list[tuple[str, str, str]]) -> bytes:
    for mark, number, value in after:
        place = int(number) if number.isdecimal() and len(number) < 8 else 0
        if mark == "<":
            content = content[:place]
        elif mark == ">":
            content += bytes(min(place, 1 << 16))
        else:
            try:
                new = bytes.fromhex(value)
            except ValueError:
                continue
            content = content[:place] + new + content[place + len(new) :]
    return content


def seeds() -> list[bytes]:
    """The checkpoints as they are, and with changes that do no harm."""
    found = []
    for first in BASES:
        sound = base(first)
        found.append(first + sound.config.encode() + b"\n\n")
        name = next(name for name, entry in sound.header.items() if entry.get("dtype") == "F16")
        shape = ",".join(map(str, sound.header[name]["shape"]))
        found.append(first + sound.config.encode() + f"\n\n{name} F32 {shape}\n".encode())
        same = b".kernel 3" if sound.kind == "masks" else b".code_dim 2"
        found.append(first + sound.config.encode() + b"\n\n" + same + b"\n.sample_rate 8000")
    return found
