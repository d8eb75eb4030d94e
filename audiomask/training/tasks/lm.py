"""Training of the language model, one stage at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from audiomask.audio.source import MemorySource
from audiomask.codec.semantic import semantic_tokens
from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.errors import ConfigError
from audiomask.kinds import Kind
from audiomask.networks.layers.causal import CausalLayer
from audiomask.networks.layers.convnext import ConvNeXtBlock
from audiomask.networks.lm.config import LMConfig, decided_by
from audiomask.networks.lm.model import LevelHead, TokenLM, split
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.stems import STEMS
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.training.config import TrainConfig
from audiomask.training.task import Required, Task
from audiomask.training.token_cache import TokenEncoder

#: frames that are encoded beside windows, as tokens near the ends of an excerpt are others than
#: those within a recording
_MARGIN = 24
#: frames of an excerpt, if a window is shorter: it has several
FRAMES = 576


class LMBatch(NamedTuple):
    """Windows of tokens.

    Attributes:
        tokens: to be predicted, int64 [B, rows, F].
        condition: what they are predicted from, int64 [B, rows, N] (see ``LMConfig.condition``).
    """

    tokens: Tensor
    condition: Tensor


def _margin(config: LMConfig) -> int:
    """Steps beside an excerpt's windows, whole tokens of the condition."""
    if config.stage == "semantic":
        return 0
    return -(-_MARGIN // config.condition_step) * config.condition_step


def _windows(config: LMConfig) -> int:
    """Windows of an excerpt."""
    return 1 if config.stage == "semantic" else max(FRAMES // config.window, 1)


class _Tokens(NamedTuple):
    """All tokens of excerpts that a stage needs; of no rows where it needs none.

    Attributes:
        codes: acoustic tokens, int [B, levels, F].
        semantic: semantic tokens, int [B, 1, N].
    """

    codes: Tensor
    semantic: Tensor


class TokenWindows:
    """Makes windows of tokens of excerpts; as a :class:`TokenEncoder` it lets them be kept.

    Args:
        config: of the stage to be trained.
        vqvae, spectrogram: whose tokens are learned, on the device of the excerpts; None where the
            stage reads none of them.
        seed: decides the order of kept excerpts.
    """

    def __init__(
        self,
        config: LMConfig,
        vqvae: AnyVQVAE | None,
        spectrogram: SpectrogramModel | None,
        seed: int,
    ) -> None:
        self.config, self.vqvae, self.spectrogram = config, vqvae, spectrogram
        self.seed = seed

    @property
    def _levels(self) -> int:
        """The acoustic levels that the stage needs: none of the later ones but for the fine."""
        config = self.config
        return config.levels if config.stage == "fine" else config.coarse_levels

    def sample(self, index: int) -> Tensor:
        """Nothing is random: the index."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> LMBatch:
        """The windows of excerpts [B, …], one after the other."""
        return self.finish(self._tokens(excerpts))

    @torch.no_grad()
    def _tokens(self, excerpts: Excerpt) -> _Tokens:
        """The tokens of excerpts [B, …], without those beside the windows."""
        config, beside = self.config, _margin(self.config)
        audio = excerpts.mixture.mean(dim=1)
        steps = _windows(config) * config.window
        # in half precision the models would choose other codes
        with torch.autocast(audio.device.type, enabled=False):
            codes = semantic = torch.zeros(len(audio), 0, steps, dtype=torch.int64)
            if self.vqvae is not None:
                codes = self.vqvae.encode(audio, self._levels)[..., beside:][..., :steps].long()
            if self.spectrogram is not None:
                found = [_semantic_codes(self.spectrogram, one, config) for one in audio]
                semantic = torch.stack(found)[..., beside // config.condition_step :]
                semantic = semantic[..., : steps // config.condition_step]
        return _Tokens(codes, semantic.to(audio.device))

    def settings(self) -> dict[str, Any]:
        """What decides the tokens of an excerpt, for JSON: levels, and steps in and beside it."""
        config = self.config
        steps = _windows(config) * config.window
        levels = 0 if self.vqvae is None else self._levels
        return {"levels": levels, "steps": steps, "beside": _margin(config)}

    def encode(self, excerpts: Excerpt, numbers: Tensor) -> dict[str, Tensor]:
        """The tokens of excerpts [B, …], int32."""
        tokens = self._tokens(excerpts)
        return {name: part.to(torch.int32) for name, part in tokens._asdict().items()}

    def item(self, kept: Mapping[str, Tensor], index: int) -> _Tokens:
        """The tokens of an excerpt, the same each time."""
        return _Tokens(kept["codes"].long(), kept["semantic"].long())

    def finish(self, batch: _Tokens) -> LMBatch:
        """The windows of excerpts' tokens, one after the other."""
        tokens, condition = split(self.config, *batch)
        number = _windows(self.config)
        return LMBatch(_cut(tokens, number), _cut(condition, number))


def _semantic_codes(model: SpectrogramModel, audio: Tensor, config: LMConfig) -> Tensor:
    """Semantic tokens of audio [T], int64 [1, N], as of a recording of this length."""
    source = MemorySource(audio[None], config.sample_rate)
    device = next(model.parameters()).device
    return semantic_tokens(model, source, device, "").codes[0].long()


def _cut(rows: Tensor, number: int) -> Tensor:
    """Rows [B, R, n] in parts of equal length, [B * number, R, n / number]."""
    batch, height, steps = rows.shape
    parts = rows.view(batch, height, number, steps // number)
    return parts.transpose(1, 2).flatten(0, 1)


class LMTask(Task):
    """Predict tokens from those before them; the loss is in nats a token."""

    kind = "lm"
    train_config = TrainConfig(steps=20_000, batch_size=8, optimizer="muon", learning_rate=3e-3)
    # what belongs together stays together: a continuation is of the same song
    augmentation = Augmentation(random_mixing=0.0, pitch_tempo_prob=0.1, effects_prob=0.1)
    needs_stems = False
    model: TokenLM

    @classmethod
    def defaults(cls, required: Mapping[str, Required]) -> dict[str, Any]:
        """``coarse_levels``: two if the VQ-VAE has more levels, else all but the last."""
        found = required.get("vqvae")
        if found is None:
            return {}
        return {"coarse_levels": max(min(2, found.model.config.levels - 1), 1)}

    @classmethod
    def fixed(cls, required: Mapping[str, Required]) -> dict[str, Any]:
        """The settings that the tokenizers decide."""
        return decided_by({kind: found.model.config for kind, found in required.items()})

    @classmethod
    def build(
        cls, kind: Kind, preset: str, config: LMConfig, required: Mapping[str, Required]
    ) -> nn.Module:
        """The model of a configuration, its weights random.

        Raises:
            ConfigError: the spectrogram model has no semantic clusters yet.
        """
        spectrogram = required.get("spectrogram")
        if spectrogram is not None and not spectrogram.model.semantic_clusters.found:
            raise ConfigError(
                "the spectrogram model has no semantic clusters, which are found when training "
                "ends; --resume its run"
            )
        return super().build(kind, preset, config, required)

    @classmethod
    def samples(cls, config: LMConfig) -> int:
        """The samples of an excerpt's windows, and of what is encoded beside them."""
        return (_windows(config) * config.window + 2 * _margin(config)) * config.hop_length

    @classmethod
    def stems(cls, config: LMConfig, known: Iterable[str]) -> tuple[str, ...]:
        """All stems of the data."""
        return tuple(sorted(known)) or STEMS

    def batches(self, seed: int) -> TokenWindows:
        """The batch builder."""
        models = {kind: found.model for kind, found in self.required.items()}
        vqvae, spectrogram = models.get("vqvae"), models.get("spectrogram")
        return TokenWindows(self.model.config, vqvae, spectrogram, seed)

    def token_encoder(self, seed: int) -> TokenEncoder:
        """The batch builder, which keeps what the stage needs of excerpts."""
        return self.batches(seed)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The layers of the transformer, of the condition and of the levels' networks."""
        kinds = (CausalLayer, ConvNeXtBlock, LevelHead)
        return (part for part in self.model.modules() if isinstance(part, kinds))

    def loss(self, batch: LMBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Nats a token, and those of each level."""
        nats = self.model.nats(batch.tokens, batch.condition).mean(dim=(0, 2))
        first = self.model.config.coarse_levels if self.model.config.stage == "fine" else 0
        rows = nats.detach()
        if len(rows) == 1:
            return nats.mean(), {}
        return nats.mean(), {f"level_{first + n + 1}": row for n, row in enumerate(rows)}
