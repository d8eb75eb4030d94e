"""Tokens: the codes of a recording, and what is needed to decode them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiomask.errors import TokensError
from audiomask.tokens.packing import code_bits

NAME = "audiomask tokens"
VERSION = f"{NAME} 2"
#: numbers in every file, and the largest value that is accepted
FIELDS = {
    "sample_rate": 1_000_000,
    "hop_length": 1 << 20,
    "num_samples": 1 << 53,
    "codebook_size": (1 << 31) - 1,
    "model_sample_rate": 1_000_000,
}
#: the axes of the codes, and the largest size that is accepted
SHAPE = {"channels": 1024, "levels": 1024, "frames": 1 << 53}
#: what the channels of the codes are: the recording's, or mid and side
SEPARATE, MID_SIDE = _STEREO = ("separate", "mid-side")
#: what codes are of: the VQ-VAE's levels, which can be decoded, or clusters of the spectrogram
#: model's layer
_ACOUSTIC, SEMANTIC = _KINDS = ("acoustic", "semantic")
#: all fields of a file but its version and the codes, and the kind where that is not acoustic
HEADER_FIELDS = (*FIELDS, "fingerprint", "stereo", *SHAPE)
#: a field that only some files have
KIND_FIELD = "kind"
#: the most frames that padding may add to those of num_samples
_SLACK = 8


@dataclass(frozen=True, eq=False)
class Tokens:
    """The codes of one recording.

    Attributes:
        codes: int16 or int32 Tensor [channels, levels, frames].
        sample_rate: of the recording, and of the audio decoded.
        num_samples: the recording's samples per channel.
        hop_length: samples between frames, at the model's sample rate.
        codebook_size: codes lie in [0, codebook_size).
        fingerprint: of the model that made them; no other can decode them.
        model_sample_rate: that model's sample rate.
        stereo: "separate" when each channel is coded by itself, or "mid-side" when channel 0 is
            the mean of left and right and channel 1 half their difference (left minus right).
        kind: "acoustic" of a VQ-VAE, or "semantic" of a spectrogram model, which hears all channels
            as one.
    """

    codes: Tensor
    sample_rate: int
    num_samples: int
    hop_length: int
    codebook_size: int
    fingerprint: str
    model_sample_rate: int
    stereo: str = SEPARATE
    kind: str = _ACOUSTIC

    @property
    def channels(self) -> int:
        """Number of channels of the recording, and of the codes."""
        return self.codes.shape[0]

    @property
    def levels(self) -> int:
        """Number of quantizer levels: tokens a frame and channel."""
        return self.codes.shape[1]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.codes.shape[2]

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return self.num_samples / self.sample_rate

    @property
    def bitrate(self) -> float:
        """Bits a second of the packed codes in a file."""
        return self.codes.numel() * code_bits(self.codebook_size) / self.duration

    def save(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write a token file: text if its name ends with ``.txt``, else safetensors.

        Raises:
            UsageError: the file exists and may not be replaced.
            AudioFileError: it cannot be written.
        """
        from audiomask.tokens.store import save_tokens

        text = str(path).lower().endswith(".txt")
        save_tokens(self, Path(path), "text" if text else "safetensors", overwrite)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Tokens:
        """Read a token file of either format.

        Raises:
            TokensError: it is missing or malformed.
        """
        from audiomask.tokens.store import load_tokens

        return load_tokens(Path(path))

    def validate(self) -> None:
        """Check all fields, and that they fit each other.

        Raises:
            TokensError: it names the first field that is wrong.
        """
        for field, largest in FIELDS.items():
            value = getattr(self, field)
            if not 1 <= value <= largest:
                raise TokensError(f"{field} is {value}; it must lie in 1 … {largest}")
        if not re.fullmatch("[!-~]{1,128}", self.fingerprint):
            raise TokensError("fingerprint is not 1 to 128 printable characters without spaces")
        if self.codes.dtype not in (torch.int16, torch.int32) or self.codes.dim() != 3:
            shape = f"{self.codes.dtype} {list(self.codes.shape)}"
            raise TokensError(f"codes are {shape}, not int16 or int32 [channels, levels, frames]")
        for axis, (name, largest) in enumerate(SHAPE.items()):
            if not 1 <= self.codes.shape[axis] <= largest:
                raise TokensError(f"{name} is {self.codes.shape[axis]}, not in 1 … {largest}")
        if self.stereo not in _STEREO:
            raise TokensError(f"stereo is {self.stereo[:20]!r}, not {' or '.join(_STEREO)}")
        if self.kind not in _KINDS:
            raise TokensError(f"kind is {self.kind[:20]!r}, not {' or '.join(_KINDS)}")
        if self.stereo == MID_SIDE and self.channels != 2:
            raise TokensError(f"stereo is mid-side, but channels is {self.channels}, not 2")
        needed = -(-self.num_samples * self.model_sample_rate // self.sample_rate)
        needed = -(-needed // self.hop_length)
        if not max(needed - 1, 1) <= self.frames <= needed + _SLACK:
            raise TokensError(
                f"{self.frames} frames do not fit num_samples {self.num_samples},"
                f" which needs {needed}; the file may be cut short"
            )
        low, high = (int(value) for value in torch.aminmax(self.codes))
        if low < 0 or high >= self.codebook_size:
            wrong = low if low < 0 else high
            raise TokensError(f"code {wrong} is not in a codebook of {self.codebook_size}")


def describe(tokens: Tokens) -> dict[str, str]:
    """The header fields of a file as text."""
    special = () if tokens.kind == _ACOUSTIC else (KIND_FIELD,)
    return {field: str(getattr(tokens, field)) for field in (*HEADER_FIELDS, *special)}


def from_fields(codes: Tensor, fields: dict[str, str]) -> Tokens:
    """Tokens of codes [channels, levels, frames] and a file's header fields, not yet validated.

    Raises:
        TokensError: a field is missing or is no number.
    """
    numbers = {field: number(fields, field, largest) for field, largest in FIELDS.items()}
    for field in ("fingerprint", "stereo"):
        if field not in fields:
            raise TokensError(f"does not tell {field}")
    return Tokens(
        codes=codes,
        fingerprint=fields["fingerprint"],
        stereo=fields["stereo"],
        kind=fields.get(KIND_FIELD, _ACOUSTIC),
        **numbers,
    )


def number(fields: dict[str, str], field: str, largest: int) -> int:
    """A field as a whole number in 1 … ``largest``; TokensError names it otherwise."""
    if field not in fields:
        raise TokensError(f"does not tell {field}")
    text = fields[field]
    if not re.fullmatch("[0-9]{1,16}", text) or not 1 <= int(text) <= largest:
        raise TokensError(f"{field} is {text[:20]!r}, not a whole number in 1 … {largest}")
    return int(text)


def check_version(fields: dict[str, str]) -> None:
    """Refuse, with a TokensError, a file of another kind or version."""
    found = fields.get("format", "")
    if found != VERSION:
        raise TokensError(f"has format {found[:40]!r}; this program reads {VERSION!r}")


def code_type(codebook_size: int) -> type[np.int16] | type[np.int32]:
    """The type of the codes of a codebook of this size."""
    return np.int16 if codebook_size <= 1 << 15 else np.int32
