"""What a training step of the masked language model is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.spectra import band_weights, stft, to_bands
from audiomask.checkpoint import save_checkpoint
from audiomask.data.excerpt import Excerpt, generator
from audiomask.networks.layers.transformer import Layer
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.mlm.masking import bert_mask, mixed_mask, random_mask
from audiomask.networks.mlm.model import MaskedLM, band_features
from audiomask.networks.mlm.separation import separation_ids, separation_loss, stem_codes
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime import distributed

#: weights of the loss's terms: nats a token, share of the mixture's amplitude, dB
PLAIN, STEM, AMPLITUDE, RATIO = 0.15, 0.1, 1.0, 0.1
#: share of the plain sequences that are one stem, not a mixture
STEM_ALONE = 0.25


class Scene(NamedTuple):
    """Excerpts as the model's training needs them; B of them in a batch.

    M of them have tokens and N are separated, as the configuration's shares say, see ``spread``;
    one of the two is B, so that the smaller number, K, has both. A cache keeps all of every scene.

    Attributes:
        mixture: codes [M, levels, F].
        stem: codes of one of its stems [K, levels, F].
        number: which stem that is [K].
        mixture_power: Σ|X|² in every band [N, bands, F']; empty if the model has no bands.
        stem_power: Σ|S|² [N, S + 1, bands, F'], the last for the rest.
        cross_power: Σ Re(S X*) [N, S + 1, bands, F'].
    """

    mixture: Tensor
    stem: Tensor
    number: Tensor
    mixture_power: Tensor
    stem_power: Tensor
    cross_power: Tensor


class Scenes:
    """Makes scenes of excerpts with stems.

    Args:
        config: of the MLM to be trained.
        vqvae: whose tokens it learns, on the device of the excerpts.
        seed: with an item's index, decides which stem is told.
    """

    def __init__(self, config: MLMConfig, vqvae: AnyVQVAE, seed: int) -> None:
        self.config, self.vqvae, self.seed = config, vqvae.eval(), seed

    def draw(self, index: int) -> Tensor:
        """The number of a stem."""
        return torch.randint(len(self.config.stems), (), generator=generator(self.seed, index))

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> Scene:
        """Scenes of excerpts [B, …] that tell the stems ``drawn`` [B]."""
        worded, apart, both = (rows.to(drawn.device) for rows in shares_of(self.config, len(drawn)))
        told = excerpts.stems[both, drawn[both]]
        codes = encode(self.vqvae, torch.cat([excerpts.mixture[worded], told]), self.config.levels)
        mixture, stem = torch.split(codes, [len(worded), len(both)])
        some = Excerpt(*(part[apart] for part in excerpts))
        return Scene(mixture, stem, drawn[both], *self.sums(some))

    def sums(self, excerpts: Excerpt) -> tuple[Tensor, ...]:
        """The last three parts of a scene."""
        if not self.config.bands or not len(excerpts.mixture):
            return tuple(torch.zeros(len(excerpts.mixture), 0) for _ in range(3))
        # one excerpt after the other: all spectra at once would be large
        sums = [
            band_sums(mixture, stems, self.config)
            for mixture, stems in zip(excerpts.mixture, excerpts.stems, strict=True)
        ]
        return tuple(map(torch.stack, zip(*sums, strict=True)))


def spread(batch: int, share: float) -> Tensor:
    """Which rows of a batch are a share of it, rounded up, int64 [n].

    They are evenly spread, so that several processes with parts of a batch choose the same.
    """
    number = math.ceil(batch * share)
    return torch.arange(number) * batch // max(number, 1)


def shares_of(config: MLMConfig, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which rows of a batch have tokens, which are separated, and the fewer of both.

    In the paper's layout all do and are.
    """
    if config.layout == "concatenated":
        return (spread(batch, 1.0),) * 3
    worded, apart = spread(batch, config.tokenised), spread(batch, config.separated)
    return worded, apart, min(worded, apart, key=len)


def encode(vqvae: AnyVQVAE, audio: Tensor, levels: int) -> Tensor:
    """Codes [B, levels, F] of audio [B, T], of the first levels.

    In full precision: in half of it the VQ-VAE would choose other codes than when used.
    """
    if not len(audio):
        return torch.zeros(0, levels, 0, dtype=torch.int64, device=audio.device)
    with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
        return vqvae.encode(audio, levels)


def band_sums(mixture: Tensor, stems: Tensor, config: MLMConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Powers and cross-powers in bands: see ``Scene``.

    Args:
        mixture: [T].
        stems: [S + 1, T].
    """
    bins = config.band_stft // 2 + 1
    nyquist = config.sample_rate / 2
    weights = band_weights(bins, nyquist, config.bands, nyquist).to(mixture.device)
    hop = config.hop_length * config.band_frames
    x = stft(mixture, config.band_stft, hop)
    s = stft(stems, config.band_stft, hop)
    return (
        to_bands(x.real.square() + x.imag.square(), weights),
        to_bands(s.real.square() + s.imag.square(), weights),
        to_bands(s.real * x.real + s.imag * x.imag, weights),
    )


def chosen_of(part: Tensor, rows: Tensor) -> Tensor:
    """These rows of a part of a scene; a part that has no others as it is."""
    return part if len(part) == len(rows) else part[rows]


class MLMTask:
    """Guess masked tokens of plain sequences and of stems, and share mixtures out to stems."""

    def __init__(
        self,
        model: MaskedLM,
        preset: str,
        notes: dict[str, Any],
        vqvae: AnyVQVAE | None = None,
    ) -> None:
        self.model, self.preset, self.notes, self.vqvae = model, preset, notes, vqvae

    def blocks(self) -> Iterator[nn.Module]:
        """The transformer's layers."""
        return (part for part in self.model.modules() if isinstance(part, Layer))

    def untaught(self) -> Iterator[nn.Parameter]:
        """What reads tokens where no excerpt has any, and what separates where none is."""
        config = self.model.config
        if config.layout == "concatenated" or not config.bands:
            return
        for name, parameter in self.model.named_parameters():
            separates = name.startswith(("refiner.", "band_projection."))
            masks = name.startswith("refiner.") and not name.startswith("refiner.guide.")
            if (not config.tokenised and not masks) or (not config.separated and separates):
                yield parameter

    def loss(self, batch: Scene) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of scenes."""
        terms = (
            self.concatenated(batch)
            if self.model.config.layout == "concatenated"
            else self.folded(batch)
        )
        weights = {"plain": PLAIN, "stem": STEM, "amplitude": AMPLITUDE, "ratio": RATIO}
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}

    def concatenated(self, batch: Scene) -> dict[str, Tensor]:
        """The paper's: BERT's masking of plain windows and of ``mixture SEP stem``."""
        mixture, stem = batch.mixture, batch.stem
        model, vocabulary = self.model, self.model.vocabulary
        window = model.config.window
        half = (window - 1) // 2
        terms = {}
        plain = torch.cat([mixture, stem])[..., :window]
        inputs, chosen = bert_mask(plain, vocabulary)
        terms["plain"] = self.nll(model.target(model.context(inputs)), plain, chosen)
        seps = [vocabulary.codebook_size + 2 + int(number) for number in batch.number]
        rows = [
            separation_ids(m[None, :, :half], s[None, :, :half], sep)
            for m, s, sep in zip(mixture, stem, seps, strict=True)
        ]
        sequence = torch.cat(rows)
        inputs, chosen = bert_mask(sequence, vocabulary)
        # half of the rows have the whole stem masked, as it is when separating
        whole = torch.arange(len(inputs), device=inputs.device) % 2 == 0
        inputs[whole, :, half + 1 :] = vocabulary.mask
        chosen[whole, :, half + 1 :] = True
        terms["stem"] = self.nll(model.target(model.context(inputs)), sequence, chosen)
        return terms

    def folded(self, batch: Scene) -> dict[str, Tensor]:
        """Both jobs of the default preset."""
        model, vocabulary = self.model, self.model.vocabulary
        batch_size = max(len(batch.mixture), len(batch.mixture_power))
        worded, apart, both = (
            rows.to(batch.mixture.device) for rows in shares_of(model.config, batch_size)
        )
        mixture = chosen_of(batch.mixture, worded)
        stem, told = chosen_of(batch.stem, both), chosen_of(batch.number, both)
        powers = [chosen_of(part, apart) for part in batch[3:]]
        # infill: every row with tokens, one of the stems alone now and then
        alone = distributed.rand(len(both), 1, 1, device=stem.device) < STEM_ALONE
        known = both if len(worded) == batch_size else torch.arange(len(both), device=both.device)
        terms = {}
        if len(worded):
            plain = mixture.clone()
            plain[known] = torch.where(alone, stem, plain[known])
            inputs, chosen = mixed_mask(plain, vocabulary)
            terms["plain"] = self.nll(model.target(model.context(inputs)), plain, chosen)
        if not len(apart):
            return terms
        # separation: those with tokens first
        if len(both) < len(apart):
            rest = torch.ones(batch_size, dtype=torch.bool, device=both.device)
            rest[both] = False
            order = torch.cat([both, rest.nonzero()[:, 0]])
            powers = [part[order] for part in powers]
        features = band_features(powers[0]) if model.config.bands else None
        context = stems = None
        if len(both):
            heard = None if features is None else features[: len(both)]
            context = model.context(mixture[known], heard)
            stems = model.all_stems(context)
            terms["stem"] = self.stem_nll(context, stems, stem, told)
        if features is None:
            return terms
        shares = model.mask_logits(features, context, stems).float().softmax(dim=1)
        with torch.autocast(shares.device.type, enabled=False):
            terms |= separation_loss(shares, *powers)
        return terms

    def stem_nll(self, context: Tensor, stems: Tensor, codes: Tensor, told: Tensor) -> Tensor:
        """Mean negative log-likelihood of stems, all of them masked and partly shown.

        Args:
            context: hidden states of the mixtures [K, F, dim].
            stems: final hidden states of every stem, all of it masked [K, S, F, dim].
            codes: of one stem of each mixture [K, levels, F].
            told: which stem that is [K].
        """
        hidden = stems[torch.arange(len(codes), device=codes.device), told]
        everything = torch.ones_like(codes, dtype=torch.bool)
        shown, missing = random_mask(codes, self.model.vocabulary)
        partly = self.model.target(context, shown, told)
        return 0.5 * (self.nll(hidden, codes, everything) + self.nll(partly, codes, missing))

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
        # over the positions of all processes, though each has others and another number of them
        everywhere = distributed.all_reduce_sum(chosen.sum().float()).clamp_min(1)
        return total * distributed.world_size() / everywhere

    def sounds(self, batch: Scene) -> dict[str, Tensor]:
        """The first scene's mixture and one of its stems, as tokens sound, and the stem found."""
        if self.vqvae is None or not len(batch.mixture):
            return {}
        if not len(batch.stem):
            return {"mixture": self.vqvae.decode(batch.mixture[:1])[0]}
        mixture, stem, number = batch.mixture[:1], batch.stem[:1], int(batch.number[0])
        # the first row has tokens and is separated, whatever the shares
        bands = band_features(batch.mixture_power[:1]) if self.model.config.bands else None
        if self.model.config.layout == "concatenated":
            half = (self.model.config.window - 1) // 2
            mixture, stem = mixture[..., :half], stem[..., :half]
        found = stem_codes(self.model, mixture, number, bands)
        name = self.model.config.stems[number]
        codes = {"mixture": mixture, f"{name}": stem, f"{name} found": found}
        return {what: self.vqvae.decode(code)[0] for what, code in codes.items()}

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Write the MLM's checkpoint; it names the VQ-VAE that it belongs to."""
        config = asdict(self.model.config)
        save_checkpoint(folder, "mlm", self.preset, config, weights, self.notes | notes)
