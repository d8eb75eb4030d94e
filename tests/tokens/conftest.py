"""Tokens of any shape, and whether two are the same."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from audiomask.tokens import Tokens


@pytest.fixture(scope="session")
def make() -> Callable[..., Tokens]:
    """``make(channels, levels, frames, size, **fields)``: always the same random codes."""

    def build(
        channels: int = 2, levels: int = 3, frames: int = 50, size: int = 1024, **more: Any
    ) -> Tokens:
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

    return build


@pytest.fixture(scope="session")
def same() -> Callable[[Tokens, Tokens], bool]:
    """Whether codes, their type and all fields agree."""

    def compare(one: Tokens, other: Tokens) -> bool:
        fields = [field.name for field in dataclasses.fields(Tokens) if field.name != "codes"]
        return (
            one.codes.dtype == other.codes.dtype
            and torch.equal(one.codes, other.codes)
            and all(getattr(one, field) == getattr(other, field) for field in fields)
        )

    return compare
