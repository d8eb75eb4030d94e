"""Perplexity: how many codes are in use, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiomask.networks.vqvae.usage import perplexity


def test_by_hand_and_level_by_level() -> None:
    codes = torch.tensor([[[3, 3, 3, 3], [0, 1, 2, 3]], [[3, 3, 3, 3], [4, 5, 6, 7]]])
    assert perplexity(codes, 8).tolist() == pytest.approx([1, 8])
    # usage 1/2, 1/4, 1/4: 1.5 bits
    assert perplexity(torch.tensor([[[0, 0, 5, 6]]]), 8).tolist() == pytest.approx([2**1.5])


@given(used=st.integers(1, 16), times=st.integers(1, 4))
def test_even_use_counts_the_codes(used: int, times: int) -> None:
    codes = torch.arange(used).repeat(times).view(1, 1, -1)
    assert float(perplexity(codes, 16)) == pytest.approx(used, rel=1e-4)
