"""The result of a VQ-VAE's training pass, for every preset."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class VQVAEOutput:
    """Result of ``model(audio)`` for audio of shape ``Tensor [B, T]``.

    Attributes:
        codes: ``Tensor [B, levels, frames]`` int64, the codes it was decoded from.
        losses: every term of the loss by name, a scalar each, before its weight.
        loss: scalar, the weighted sum of ``losses``; what training minimises.
        perplexity: ``Tensor [levels]``, exp of the entropy (in nats) of the codes' usage in this
            batch: 1 when a single code is used, the codebook's size when all are used evenly.
    """

    codes: Tensor
    losses: dict[str, Tensor]
    loss: Tensor
    perplexity: Tensor
