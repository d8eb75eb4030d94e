"""The paper preset, tiny, and sound to give it."""

import torch
from signals import tone
from torch import Tensor

from audiomask.networks.vqvae.paper import PaperConfig

#: every part of the paper preset, small
TINY = PaperConfig(blocks=2, channels=8, codebook_size=16, code_dim=4, stft_size=32)


def backpropagate(loss: Tensor, gradient: Tensor | None = None) -> None:
    torch.autograd.backward(loss, gradient)


def noisy_sines(batch: int, samples: int) -> Tensor:
    """Sines of 500 to 2000 Hz in noise that torch's own generator draws, [B, T]."""
    sines = tone(torch.linspace(500, 2000, batch).tolist(), samples)
    return 0.5 * sines + 0.05 * torch.randn(batch, samples)
