"""Training of the masked language model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.spectra import band_weights, stft, to_bands
from audiomask.data.excerpt import Excerpt, generator
from audiomask.errors import ConfigError
from audiomask.kinds import Kind
from audiomask.networks.layers.band_features import band_features
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.mlm import SHARED_FIELDS, build_mlm
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.mlm.masking import bert_mask, mixed_mask, random_mask
from audiomask.networks.mlm.separation import separation_ids, stem_codes
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime import distributed
from audiomask.training.config import TrainConfig
from audiomask.training.drafts import rough_estimates
from audiomask.training.task import Required, Task
from audiomask.training.token_cache import TokenEncoder

#: weights of the loss's terms, in nats a token
WEIGHTS = {"plain": 0.15, "stem": 0.1}
#: share of the plain sequences that are one stem, not a mixture
_STEM_ALONE = 0.25
#: share of the stems that are predicted without a draft
_NO_DRAFT = 0.15


class MLMBatch(NamedTuple):
    """B excerpts as tokens, and of K of them one stem (see ``stem_rows``).

    Attributes:
        mixture: codes [B, levels, F].
        stem: codes of one of its stems [K, levels, F]; [B, …] of a token cache.
        stem_index: which stem that is [K].
        mixture_power: Σ|X|² of the K mixtures in every band [K, bands, F']; empty if the model
            reads no bands.
        draft: codes of a rough estimate of the stem, shaped as ``stem``; empty if the model reads
            none.
        has_stem: whether there is a stem, bool [K]; recordings have none.
    """

    mixture: Tensor
    stem: Tensor
    stem_index: Tensor
    mixture_power: Tensor
    draft: Tensor
    has_stem: Tensor


class BatchEncoder:
    """Makes batches of excerpts, with or without stems.

    Args:
        config: of the MLM to be trained.
        vqvae: whose tokens it learns, on the device of the excerpts.
        seed: with an item's index, decides which stem is learned.
    """

    def __init__(self, config: MLMConfig, vqvae: AnyVQVAE, seed: int) -> None:
        self.config, self.vqvae, self.seed = config, vqvae.eval(), seed

    def sample(self, index: int) -> Tensor:
        """The number of a stem, and a seed of its draft: [2]."""
        drawn = generator(self.seed, index)
        stem = torch.randint(len(self.config.stems), (), generator=drawn)
        return torch.stack([stem, torch.randint(1 << 31, (), generator=drawn)])

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> MLMBatch:
        """A batch of excerpts [B, …] with the stems and seeds ``sampled`` [B, 2]."""
        rows = stem_rows(self.config, len(sampled)).to(sampled.device)
        index, seeds = sampled[rows].unbind(dim=1)
        mixtures, stems = excerpts.mixture[:, 0], excerpts.stems[rows, index, 0]
        drafts = self.drafts(mixtures[rows], stems, seeds)
        codes = encode(self.vqvae, torch.cat([mixtures, stems, drafts]), self.config.levels)
        sizes = [len(mixtures), len(stems), len(drafts)]
        mixture, stem, draft = torch.split(codes, sizes)
        known = excerpts.has_stems[rows]
        return MLMBatch(mixture, stem, index, self.powers(mixtures[rows]), draft, known)

    def drafts(self, mixtures: Tensor, stems: Tensor, seeds: Tensor) -> Tensor:
        """Rough estimates of stems [K, T]; [0, T] if the model reads none."""
        if not self.config.draft or not len(stems):
            return stems[:0]
        with torch.autocast(stems.device.type, enabled=False):
            return rough_estimates(mixtures, stems, seeds.tolist(), self.config.sample_rate)

    def powers(self, mixtures: Tensor) -> Tensor:
        """The power of mixtures [K, T] in bands, [K, bands, F']."""
        if not self.config.bands or not len(mixtures):
            return torch.zeros(len(mixtures), 0)
        return torch.stack([band_power(mixture, self.config) for mixture in mixtures])


def stem_rows(config: MLMConfig, batch: int) -> Tensor:
    """Which rows of a batch have a stem, int64 [K]: a share of it, rounded up.

    They are evenly spaced, so that the parts of a batch in several processes choose the same rows.
    In the paper's layout every row has one.
    """
    share = 1.0 if config.layout == "concatenated" else config.separated
    number = math.ceil(batch * share)
    return torch.arange(number) * batch // max(number, 1)


def encode(vqvae: AnyVQVAE, audio: Tensor, levels: int) -> Tensor:
    """Codes [B, levels, F] of audio [B, T], of the first levels.

    Computed in float32, as in use: in half precision the VQ-VAE would choose other codes.
    """
    if not len(audio):
        return torch.zeros(0, levels, 0, dtype=torch.int64, device=audio.device)
    with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
        return vqvae.encode(audio, levels)


def band_power(mixture: Tensor, config: MLMConfig) -> Tensor:
    """Power of a mixture [T] in the bands that the model reads, [bands, F']."""
    nyquist = config.sample_rate / 2
    weights = band_weights(config.band_stft // 2 + 1, nyquist, config.bands, nyquist)
    x = stft(mixture, config.band_stft, config.hop_length * config.band_frames)
    return to_bands(x.real.square() + x.imag.square(), weights.to(mixture.device))


def _select(part: Tensor, rows: Tensor) -> Tensor:
    """Rows of a tensor of a batch, or the tensor itself if it has only these."""
    return part if len(part) in (0, len(rows)) else part[rows]


class MLMTask(Task):
    """Predict masked tokens, of plain sequences and of stems."""

    kind = "mlm"
    takes_recordings = True
    train_config = TrainConfig(steps=20_000, batch_size=8, optimizer="muon", learning_rate=3e-3)

    @classmethod
    def defaults(cls, required: Mapping[str, Required]) -> dict[str, Any]:
        """``levels``: all those of the VQ-VAE."""
        return {"levels": len(required["vqvae"].model.codebooks())}

    @classmethod
    def fixed(cls, required: Mapping[str, Required]) -> dict[str, Any]:
        """The settings that model and VQ-VAE share."""
        vqvae = required["vqvae"].model.config
        return {name: getattr(vqvae, name) for name in SHARED_FIELDS}

    @classmethod
    def build(
        cls, kind: Kind, preset: str, config: MLMConfig, required: Mapping[str, Required]
    ) -> nn.Module:
        """The model, with the VQ-VAE's codebooks."""
        codebooks = required["vqvae"].model.codebooks()
        if config.levels > len(codebooks):
            raise ConfigError(f"levels is {config.levels}; the VQ-VAE has {len(codebooks)}")
        return build_mlm(preset, asdict(config), codebooks[: config.levels].cpu())

    @classmethod
    def samples(cls, config: Any) -> int:
        """A window of the model."""
        length: int = config.window * config.hop_length
        return length

    @property
    def vqvae(self) -> AnyVQVAE:
        """The VQ-VAE whose tokens are learned."""
        vqvae: AnyVQVAE = self.required["vqvae"].model
        return vqvae

    def batches(self, seed: int) -> BatchEncoder:
        """Tokens of excerpts."""
        return BatchEncoder(self.model.config, self.vqvae, seed)

    def token_encoder(self, seed: int) -> TokenEncoder:
        """Tokens of mixtures and of all their stems."""
        from audiomask.training.stem_tokens import StemTokenEncoder

        return StemTokenEncoder(self.batches(seed))

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, TransformerLayer))

    def unused_parameters(self) -> Iterator[nn.Parameter]:
        """What embeds bands and drafts, where no stem is learned."""
        config = self.model.config
        if config.layout == "concatenated" or config.separated:
            return
        if config.bands:
            yield from self.model.band_projection.parameters()
        if config.draft:
            yield from self.model.draft_projection.parameters()
            yield self.model.no_draft_embedding

    def loss(self, batch: MLMBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch."""
        concatenated = self.model.config.layout == "concatenated"
        terms = self.concatenated(batch) if concatenated else self.aligned(batch)
        loss = torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}

    def concatenated(self, batch: MLMBatch) -> dict[str, Tensor]:
        """Loss terms of the paper: BERT's masking of plain windows and of ``mixture SEP stem``."""
        mixture = batch.mixture
        known = batch.has_stem[:, None, None]
        stem = torch.where(known, batch.stem, mixture)
        model, vocabulary = self.model, self.model.vocabulary
        window = model.config.window
        half = (window - 1) // 2
        terms = {}
        plain = torch.cat([mixture, stem])[..., :window]
        inputs, chosen = bert_mask(plain, vocabulary)
        terms["plain"] = self.nll(model.target(model.context(inputs)), plain, chosen)
        seps = [vocabulary.codebook_size + 2 + int(number) for number in batch.stem_index]
        rows = [
            separation_ids(m[None, :, :half], s[None, :, :half], sep)
            for m, s, sep in zip(mixture, stem, seps, strict=True)
        ]
        sequence = torch.cat(rows)
        inputs, chosen = bert_mask(sequence, vocabulary)
        # in half of the rows the whole stem is masked, as in separation
        whole = torch.arange(len(inputs), device=inputs.device) % 2 == 0
        inputs[whole, :, half + 1 :] = vocabulary.mask
        chosen[whole, :, half + 1 :] = True
        chosen &= known
        terms["stem"] = self.nll(model.target(model.context(inputs)), sequence, chosen)
        return terms

    def aligned(self, batch: MLMBatch) -> dict[str, Tensor]:
        """Loss terms of the default preset: masked plain sequences, and stems of mixtures."""
        model, vocabulary = self.model, self.model.vocabulary
        mixture = batch.mixture
        rows = stem_rows(model.config, len(mixture)).to(mixture.device)
        stem, index = _select(batch.stem, rows), _select(batch.stem_index, rows)
        known = _select(batch.has_stem, rows)[:, None, None]
        # plain sequences: every row, a stem in place of the mixture in some of them
        alone = distributed.rand(len(rows), 1, 1, device=stem.device) < _STEM_ALONE
        alone = alone & known
        plain = mixture.clone()
        plain[rows] = torch.where(alone, stem, plain[rows])
        inputs, chosen = mixed_mask(plain, vocabulary)
        terms = {"plain": self.nll(model.target(model.context(inputs)), plain, chosen)}
        if not len(rows):
            return terms
        features = None
        if model.config.bands:
            features = band_features(_select(batch.mixture_power, rows))
        context = model.context(mixture[rows], features)
        draft = self._some_drafts(_select(batch.draft, rows)) if model.config.draft else None
        terms["stem"] = self._stem_nll(context, stem, index, draft, known)
        return terms

    def _some_drafts(self, draft: Tensor) -> Tensor:
        """Drafts [K, levels, F], MASK in some rows, so that stems are found without one as well."""
        missing = distributed.rand(len(draft), 1, 1, device=draft.device) < _NO_DRAFT
        return torch.where(missing, self.model.vocabulary.mask, draft)

    def _stem_nll(
        self,
        context: Tensor,
        codes: Tensor,
        stem_index: Tensor,
        draft: Tensor | None,
        known: Tensor,
    ) -> Tensor:
        """Mean negative log-likelihood of stems that are masked completely and partly.

        Args:
            context: hidden states of the mixtures [K, F, dim].
            codes: of one stem of each mixture [K, levels, F].
            stem_index: which stem that is [K].
            draft: codes of rough estimates of them [K, levels, F].
            known: whether there is a stem, bool [K, 1, 1].
        """
        everything = torch.ones_like(codes, dtype=torch.bool)
        masked = torch.full_like(codes, self.model.vocabulary.mask)
        shown, missing = random_mask(codes, self.model.vocabulary)
        total = context.new_zeros((), dtype=torch.float32)
        for ids, chosen in ((masked, everything), (shown, missing)):
            hidden = self.model.target(context, ids, stem_index, draft=draft)
            total = total + 0.5 * self.nll(hidden, codes, chosen & known)
        return total

    def nll(self, hidden: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
        """Mean negative log-likelihood, in nats, of the chosen positions.

        Args:
            hidden: final hidden states [B, F, dim].
            ids: true codes [B, levels, F].
            chosen: bool [B, levels, F].
        """
        total = hidden.new_zeros((), dtype=torch.float32)
        for level in range(ids.shape[1]):
            where = chosen[:, level] & (ids[:, level] < self.model.config.codebook_size)
            # only the chosen positions go through the large output layer
            logits = self.model.level_logits(hidden[where], level).float()
            total = total + F.cross_entropy(logits, ids[:, level][where], reduction="sum")
        # divided by the number of positions in all processes, as each has another number of them
        everywhere = distributed.all_reduce_sum(chosen.sum().float()).clamp_min(1)
        return total * distributed.world_size() / everywhere

    def audio_samples(self, batch: MLMBatch) -> dict[str, Tensor]:
        """The first mixture and one of its stems, decoded from tokens, and the predicted stem."""
        if not len(batch.mixture):
            return {}
        if not len(batch.stem) or not batch.has_stem[0]:
            return {"mixture": self.vqvae.decode(batch.mixture[:1])[0]}
        mixture, stem, number = batch.mixture[:1], batch.stem[:1], int(batch.stem_index[0])
        # the first row always has a stem
        bands = band_features(batch.mixture_power[:1]) if self.model.config.bands else None
        if self.model.config.layout == "concatenated":
            half = (self.model.config.window - 1) // 2
            mixture, stem = mixture[..., :half], stem[..., :half]
        draft = batch.draft[None, :1] if self.model.config.draft else None
        (found,) = stem_codes(self.model, mixture, [number], bands, draft)
        name = self.model.config.stems[number]
        codes = {"mixture": mixture, f"{name}": stem, f"{name} found": found}
        return {what: self.vqvae.decode(code)[0] for what, code in codes.items()}
