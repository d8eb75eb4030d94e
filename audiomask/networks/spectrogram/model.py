"""The spectrogram model: a transformer over frames that predicts what is hidden of a spectrogram.

One model for two families of papers: the frame transformer's sigmoid mask on groups of ones, and
Mockingjay's, Audio ALBERT's and TERA's reconstruction; with HuBERT's clusters and BERT's question
whether the second half is the continuation as further heads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from audiomask.networks.layers.transformer import Transformer
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.continuation import middle
from audiomask.networks.spectrogram.features import COEFFICIENTS
from audiomask.networks.spectrogram.interpolation import interpolate
from audiomask.networks.spectrogram.kmeans import Clusters
from audiomask.networks.spectrogram.losses import Adversary
from audiomask.networks.spectrogram.masking import mask_value

#: mean and inverse deviation of magnitudes in [0, 1], about
_MEAN, _SCALE = 0.3, 4.0
#: frames of a semantic token
SEMANTIC_FRAMES = 2
#: least distance of magnitudes from 0 and 1 where their logits are taken; share of a seen frame
_LEAST, _KEPT = 0.01, 0.95


class SpectrogramModel(nn.Module):
    """Hidden layers, and heads for magnitudes, clusters and continuation.

    Attributes:
        magnitudes, clusters, continuation, adversary: heads; None where the objective has none.
        target_clusters: those that are predicted; None where the objective has none, or where they
            are a VQ-VAE's codes.
        semantic_clusters: of a layer, found when training ends.

    Args:
        config: the model's configuration.
    """

    def __init__(self, config: SpectrogramConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.linear_in = nn.Linear(config.bands, dim)
        self.transformer = Transformer(
            dim, config.heads, config.layers, config.kernel, config.share_layers
        )
        self.norm = nn.LayerNorm(dim)
        self.blank: nn.Parameter | None = None
        if config.base == "interpolated":
            # of deviation 0.5; why not normal: see MaskedLM.__init__
            self.blank = nn.Parameter(torch.empty(dim).uniform_(-0.87, 0.87))
        self.magnitudes: nn.Linear | None = None
        self.clusters: nn.Linear | None = None
        self.continuation: nn.Sequential | None = None
        self.adversary: Adversary | None = None
        if config.magnitude_weight:
            self.magnitudes = nn.Linear(dim, config.bands)
            if config.base == "interpolated":
                # so that training begins with the interpolation itself
                nn.init.zeros_(self.magnitudes.weight)
                nn.init.zeros_(self.magnitudes.bias)
        self.semantic_clusters = Clusters(config.semantic_clusters, dim)
        self.target_clusters: Clusters | None = None
        if config.targets != "none":
            self.clusters = nn.Linear(dim, config.clusters)
        if config.targets in ("mfcc", "layer"):
            width = dim if config.targets == "layer" else 3 * min(COEFFICIENTS, config.bands)
            self.target_clusters = Clusters(config.clusters, width)
        if config.continuation_prob:
            layers = (nn.Linear(3 * dim, dim), nn.GELU(), nn.Linear(dim, 1))
            self.continuation = nn.Sequential(*layers)
        if config.adversary_weight:
            self.adversary = Adversary(config.bands)

    def hidden(self, features: Tensor, layer: int | None = None) -> Tensor:
        """The output of a layer.

        Args:
            features: magnitudes in [0, 1], [B, F, bands].
            layer: from 1, 0 for the input; the last one, normalized, when None.

        Returns:
            [B, F, dim].
        """
        x = self._embed(features)
        if layer is not None:
            found: Tensor = self.transformer(x, depth=layer)
            return found
        last: Tensor = self.norm(self.transformer(x))
        return last

    def layer_outputs(self, features: Tensor) -> Iterator[Tensor]:
        """The output of each layer in turn, [B, F, dim], of magnitudes [B, F, bands]."""
        return self.transformer.outputs(self._embed(features))

    def _embed(self, features: Tensor) -> Tensor:
        """The transformer's input [B, F, dim] of magnitudes [B, F, bands]."""
        if self.blank is None:
            embedded: Tensor = self.linear_in((features - _MEAN) * _SCALE)
            return embedded
        blanked = self.blanked(features)
        around = interpolate(features, blanked)
        x: Tensor = self.linear_in((around - _MEAN) * _SCALE)
        return x + blanked[..., None] * self.blank

    def blanked(self, inputs: Tensor) -> Tensor:
        """Which frames of [B, F, bands] are blanked, bool [B, F]."""
        return (inputs == mask_value(self.config)).all(dim=-1)

    def predict_magnitudes(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """Predicted magnitudes [B, F, bands] in [0, 1].

        Args:
            hidden: of the last layer, [B, F, dim].
            inputs: what the model got, [B, F, bands].
        """
        assert self.magnitudes is not None
        logits = self.magnitudes(hidden).float()
        if self.config.base == "interpolated":
            blanked = self.blanked(inputs)
            around = interpolate(inputs.float(), blanked).clamp(_LEAST, 1 - _LEAST)
            # a share of a frame that is seen is most of it
            kept = torch.full_like(around, _KEPT) if self.config.head == "share" else around
            logits = logits + torch.where(blanked[..., None], around, kept).logit()
        shares: Tensor = logits.sigmoid()
        return shares * inputs if self.config.head == "share" else shares

    def predict_clusters(self, hidden: Tensor) -> Tensor:
        """Logits of the clusters [B, F, clusters], of the last layer's output."""
        assert self.clusters is not None
        logits: Tensor = self.clusters(hidden)
        return logits

    def predict_continuation(self, hidden: Tensor) -> Tensor:
        """Logits [B] of "the second half is the continuation", of the last layer's output.

        The separator's frames answer, as BERT's first token does, and the halves' means with them.
        """
        assert self.continuation is not None
        span = middle(self.config)
        first, second = hidden[:, : span.start].mean(dim=1), hidden[:, span.stop :].mean(dim=1)
        between = hidden[:, span].mean(dim=1)
        together = torch.cat([between, first * second, first - second], dim=1)
        logits: Tensor = self.continuation(together)[:, 0]
        return logits

    def semantic_features(self, features: Tensor) -> Tensor:
        """What semantic tokens are clusters of: means of a layer over a token's frames.

        Args:
            features: magnitudes in [0, 1], [B, F, bands], F a multiple of SEMANTIC_FRAMES.

        Returns:
            [B, F / SEMANTIC_FRAMES, dim].
        """
        hidden = self.hidden(features, self.config.target_layer).float()
        batch, _, dim = hidden.shape
        return hidden.view(batch, -1, SEMANTIC_FRAMES, dim).mean(dim=2)

    def fill(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Magnitudes with predictions in hidden frames.

        Args:
            features: magnitudes in [0, 1], [B, F, bands]; those of hidden frames are not read.
            hidden: bool [B, F].

        Returns:
            [B, F, bands].
        """
        value = torch.full_like(features, mask_value(self.config))
        inputs = torch.where(hidden[..., None], value, features)
        predicted = self.predict_magnitudes(self.hidden(inputs), inputs)
        return torch.where(hidden[..., None], predicted.to(features.dtype), features)
