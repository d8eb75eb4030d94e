"""ConvNeXt: what a frame hears, and the residual sum."""

import pytest
import torch
from torch import Tensor, nn

from audiomask.vqvae.convnext import ConvNeXtBlock, ConvNeXtStack


def heard(module: nn.Module, frames: int, dim: int, frame: int) -> list[int]:
    """The input frames that move one output frame."""
    x = torch.randn(1, frames, dim, requires_grad=True)
    torch.autograd.backward(module(x)[0, frame].square().sum())
    assert x.grad is not None
    return x.grad[0].abs().sum(dim=-1).nonzero().flatten().tolist()


@pytest.mark.parametrize("kernel", [3, 7])
def test_a_block_hears_half_a_kernel_a_side(kernel: int) -> None:
    half = kernel // 2
    assert heard(ConvNeXtBlock(8, kernel, 1.0), 40, 8, 20) == list(range(20 - half, 21 + half))


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_stack_hears_as_much_as_its_convolutions_together(blocks: int) -> None:
    reach = 3 * (1 + blocks)
    module = ConvNeXtStack(5, 8, blocks, 7)
    assert heard(module, 60, 5, 30) == list(range(30 - reach, 31 + reach))
    assert module(torch.randn(2, 9, 5)).shape == (2, 9, 8)


def test_a_block_adds_to_its_input() -> None:
    x = torch.randn(2, 9, 8)
    assert torch.equal(ConvNeXtBlock(8, 7, 0.0)(x), x)
    block = ConvNeXtBlock(8, 7, 0.5)
    part: Tensor = block(x) - x
    with torch.no_grad():
        block.scale.mul_(2)
    assert torch.allclose(block(x) - x, 2 * part, atol=1e-5)


def test_blocks_share_no_weights() -> None:
    stack = ConvNeXtStack(5, 8, 3, 7)
    assert len({id(p) for block in stack.blocks for p in block.parameters()}) == 3 * 9
    assert not torch.equal(stack.blocks[0].expand.weight, stack.blocks[1].expand.weight)
