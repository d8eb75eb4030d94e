"""ConvNeXt blocks: in use the same as in training, however long the input."""

import pytest
import torch

from audiomask.networks.layers.convnext import CHUNK_FRAMES, ConvNeXtBlock, ConvNeXtStack


@pytest.mark.parametrize("frames", [1, CHUNK_FRAMES, 2 * CHUNK_FRAMES + 7])
def test_parts_are_the_whole(frames: int) -> None:
    torch.manual_seed(0)
    block = ConvNeXtBlock(16, 7, 0.5)
    x = torch.randn(2, frames, 16)
    with torch.no_grad():
        found = block(x)
    assert torch.allclose(found, block(x), atol=1e-5)


def test_the_body_follows_the_projection() -> None:
    torch.manual_seed(0)
    stack = ConvNeXtStack(5, 16, 2, 7)
    x = torch.randn(2, 30, 5)
    assert torch.equal(stack(x), stack.body(stack.project(x)))
