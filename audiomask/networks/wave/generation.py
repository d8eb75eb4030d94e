"""Samples drawn one by one from the default model, each given all samples before it.

The features of a sample are those of ``features.patch_features``, followed sample by sample:
predictors are estimated anew where they are in training, and each new sample is the past of the
next one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audiomask.networks.wave.config import WaveConfig
from audiomask.networks.wave.features import FAST, LEVEL, Reach, assemble, lines_of, predict
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import QUIETEST, SILENCE, decode, encode
from audiomask.networks.wave.predictors import Predictor, combine, combining_weights

#: how near to 0 and 1 a drawn probability may be, as the logistic distribution has no ends
_TAIL = 1e-5


class _Running:
    """A linear predictor over a signal that grows.

    Args:
        predictor: how it is estimated.
        block: samples after which it is estimated anew.
    """

    def __init__(self, predictor: Predictor, block: int) -> None:
        self.predictor, self.block = predictor, block
        self._reversed = torch.zeros(0)

    def next(self, signal: Tensor, at: int, place: int) -> Tensor:
        """The prediction [B] of the sample at ``at`` of [B, T], number ``place`` of its patch."""
        if place % self.block == 0:
            known = signal[:, max(at - self.predictor.window, 0) : at]
            starts = torch.full((len(known), 1), known.shape[1], device=signal.device)
            self._reversed = self.predictor.coefficients(known, starts)[:, 0].flip(-1)
        found: Tensor = (signal[:, at - self.predictor.order : at] * self._reversed).sum(dim=-1)
        return found


class _Lines:
    """The predictions of ``features.predict``, of one sample after the other.

    Args:
        samples: [B, T], those before ``at`` and room for those to come, which is filled one by one.
        at: the next sample, a patch's first.
        config: of the model.

    Attributes:
        predicted: of all combined, then of each predictor, [B, T] each; nothing before
            ``at - Reach.lines``.
    """

    def __init__(self, samples: Tensor, at: int, config: WaveConfig) -> None:
        self.config, self.samples = config, samples
        reach = Reach.of(config)
        starts = torch.full((len(samples), 1), at, device=samples.device)
        found = predict(samples[:, :at], starts, 0, config)

        def with_room(known: Tensor, extent: int) -> Tensor:
            made = torch.zeros_like(samples)
            made[:, at - extent : at] = known
            return made

        self._refined = [with_room(known, reach.refined) for known in found.refined]
        self._far = [with_room(known, reach.far) for known in found.far]
        self._left = [samples - far for far in self._far]
        self.predicted = [with_room(found.combined, reach.lines), *self._refined]
        long = zip(config.orders, config.spans, config.blocks, strict=True)
        self._long = [_Running(Predictor(order, span), block) for order, span, block in long]
        short = Predictor(config.refine_order, config.refine_span)
        self._short = [_Running(short, config.refine_block) for _ in self._far]
        self._weights = torch.zeros(0)

    def predict(self, at: int, place: int) -> None:
        """Predict sample ``at``, which is number ``place`` of its patch."""
        number = 0
        for line, long in zip(self._refined, self._long, strict=True):
            line[:, at] = told = long.next(self.samples, at, place)
            if long.predictor.order > self.config.refine_order:
                self._far[number][:, at] = told
                line[:, at] += self._short[number].next(self._left[number], at, place)
                number += 1
        every = [*self._refined, *self._far]
        span = self.config.combine_span
        if place % self.config.combine_block == 0:
            past = torch.stack([line[:, at - span : at] for line in every], dim=-1)
            self._weights = combining_weights(self.samples[:, at - span : at], past)
        newest = torch.stack([line[:, at : at + 1] for line in every], dim=-1)
        self.predicted[0][:, at] = combine(newest, self._weights)[:, 0]

    def add(self, at: int) -> None:
        """Take the sample at ``at``, which was predicted."""
        for left, far in zip(self._left, self._far, strict=True):
            left[:, at] = self.samples[:, at] - far[:, at]


class SampleGenerator:
    """The distributions of samples that come after a past, one by one.

    Args:
        model: in evaluation mode.
        past: levels, int64 [B, T], T at least 1.
        number: samples to come, at most.
    """

    def __init__(self, model: WaveModel, past: Tensor, number: int) -> None:
        config = model.config
        self.model, self.config = model, config
        size = config.patch
        rows = len(past)
        # predictors see silence before the recording, and a window begins with a patch
        longest = max(*config.spans, config.refine_span)
        self._first = -(-(longest + Reach.of(config).far + LEVEL) // size) * size
        lead = -past.shape[1] % size
        self._at = self._first + lead + past.shape[1]
        self._samples = torch.zeros(rows, self._at + number, device=past.device)
        silence = past.new_full((rows, lead), SILENCE)
        known = decode(torch.cat([silence, past], dim=1))
        self._samples[:, self._first : self._at] = known
        self._lines = _Lines(self._samples, self._at, config)
        channels = 1 + lines_of(config)
        self._past = torch.zeros(rows, channels, config.history + size, device=past.device)
        self._level = torch.zeros(rows, 1, device=past.device)
        self._usual = torch.zeros(rows, channels, device=past.device)
        self._context = torch.zeros(rows, config.dim, device=past.device)
        self._place = size

    @torch.no_grad()
    def mixture(self) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and logarithms of scales of the next sample's components, [B, K] each."""
        if self._place == self.config.patch:
            self._begin_patch()
        at, history = self._at, self.config.history
        self._lines.predict(at, self._place)
        means, slow, fast = [], [], []
        known = self._samples[:, at - history : at]
        for line in self._lines.predicted:
            means.append(line[:, at : at + 1])
            errors = (known - line[:, at - history : at]).abs()
            slow.append(errors.mean(dim=-1, keepdim=True))
            fast.append(errors[:, -FAST:].mean(dim=-1, keepdim=True))
        past = self._past[..., self._place : self._place + history]
        features = assemble(past, means, slow, fast, self._level)
        logits, centers, log_scales = self.model.decoder(features, self._context)
        return logits[:, 0], centers[:, 0], log_scales[:, 0]

    def add(self, levels: Tensor) -> None:
        """Take the next sample's level, int64 [B]."""
        at, there = self._at, self.config.history + self._place
        self._samples[:, at] = decode(levels)
        self._lines.add(at)
        self._past[..., there] = self._newest(at, at + 1)[..., 0]
        self._at += 1
        self._place += 1

    def _newest(self, start: int, stop: int) -> Tensor:
        """Samples and errors of the predictions, as the decoder sees them, [B, 1 + J, T]."""
        known = self._samples[:, start:stop]
        errors = [known - line[:, start:stop] for line in self._lines.predicted]
        return torch.asinh(torch.stack([known, *errors], dim=1) / self._usual[..., None])

    def _begin_patch(self) -> None:
        """Prepare what all samples of a patch share."""
        history, size, at = self.config.history, self.config.patch, self._at
        first = max(self._first, at + size - self.config.window)
        window = torch.nn.functional.pad(self._samples[:, first:at], (0, size))
        self._context = self.model.context(window)[:, -1]
        level = self._samples[:, at - LEVEL : at].square().mean(dim=-1, keepdim=True)
        self._level = level.sqrt().clamp_min(QUIETEST)
        known, usual = self._samples[:, at - history : at], [self._level]
        for line in self._lines.predicted:
            errors = (known - line[:, at - history : at]).abs()
            usual.append(errors.mean(dim=-1, keepdim=True).clamp_min(QUIETEST))
        self._usual = torch.cat(usual, dim=-1)
        self._past[..., :history] = self._newest(at - history, at)
        self._place = 0


def draw_levels(
    mixture: Sequence[Tensor], temperature: float, generator: torch.Generator
) -> Tensor:
    """Levels, int64 [B], drawn from mixtures of logistic distributions.

    Args:
        mixture: logits, means and logarithms of scales of the components, [B, K] each.
        temperature: divides the logits and multiplies the scales; at 0 the likeliest component's
            mean is taken.
        generator: of the random numbers, on the CPU.
    """
    logits, means, log_scales = (part.float().cpu() for part in mixture)
    if temperature == 0:
        chosen = logits.argmax(dim=-1, keepdim=True)
        return encode(means.gather(1, chosen)[:, 0])
    shares = (logits / temperature).softmax(dim=-1)
    chosen = torch.multinomial(shares, 1, generator=generator)
    even = torch.rand((len(logits), 1), generator=generator).clamp(_TAIL, 1 - _TAIL)
    scale = (log_scales.gather(1, chosen) + math.log(temperature)).exp()
    return encode((means.gather(1, chosen) + scale * even.logit())[:, 0])


def generate(
    model: WaveModel, past: Tensor, number: int, temperature: float, generator: torch.Generator
) -> Tensor:
    """Samples [B, number] that go on from a past.

    Args:
        model: in evaluation mode.
        past: samples in [-1, 1], [B, T], T at least 1, on the model's device.
        number: how many.
        temperature, generator: as of ``draw_levels``.
    """
    running = SampleGenerator(model, encode(past), number)
    made = []
    for _ in range(number):
        levels = draw_levels(running.mixture(), temperature, generator).to(past.device)
        running.add(levels)
        made.append(levels)
    return decode(torch.stack(made, dim=1))
