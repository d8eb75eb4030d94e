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
from audiomask.networks.wave.features import FAST, LEVEL, assemble
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import QUIETEST, SILENCE, decode, encode
from audiomask.networks.wave.predictors import Predictor

#: how near to 0 and 1 a drawn probability may be, as the logistic distribution has no ends
_TAIL = 1e-5


class _Running:
    """A linear predictor over a signal that grows.

    Args:
        predictor: how it is estimated.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._weights = self._reversed = torch.zeros(0)

    def estimate(self, signal: Tensor, at: int) -> None:
        """Estimate the coefficients from signal [B, T] before ``at``."""
        known = signal[:, max(at - self.predictor.window, 0) : at]
        starts = torch.full((len(known), 1), known.shape[1], device=signal.device)
        self._weights = self.predictor.coefficients(known, starts)
        self._reversed = self._weights[:, 0].flip(-1)

    def before(self, signal: Tensor, at: int, number: int) -> Tensor:
        """Predictions [B, number] of the samples of a signal [B, T] that end before ``at``."""
        known = signal[:, max(at - number - self.predictor.order, 0) : at]
        starts = torch.full((len(known), 1), known.shape[1], device=signal.device)
        return self.predictor.apply(self._weights, known, starts, number, 0)[:, 0]

    def next(self, signal: Tensor, at: int) -> Tensor:
        """The prediction [B] of the sample at ``at``, which has as many before it as the order."""
        found: Tensor = (signal[:, at - self.predictor.order : at] * self._reversed).sum(dim=-1)
        return found


class _Line:
    """One of the model's predictors, with the short one that predicts what it leaves over.

    Args:
        config: of the model.
        number: of the predictor.
        rows: B.
        device: where the model is.

    Attributes:
        errors: of the samples of a patch and of the ``history`` before it, [B, history + patch].
        predicted: the newest prediction, [B].
    """

    def __init__(self, config: WaveConfig, number: int, rows: int, device: torch.device) -> None:
        self.config, self.block = config, config.blocks[number]
        self.long = _Running(Predictor(config.orders[number], config.spans[number]))
        short = Predictor(config.refine_order, config.refine_span)
        self.short = _Running(short) if config.orders[number] > short.order else None
        self.errors = torch.zeros(rows, config.history + config.patch, device=device)
        # samples before a patch that the short predictor needs
        self._reach = short.window + short.order + config.history
        self._left = torch.zeros(rows, self._reach + config.patch, device=device)
        self.predicted = self._far = torch.zeros(rows, device=device)

    def begin(self, samples: Tensor, at: int) -> None:
        """Begin a patch at sample ``at`` of [B, T]."""
        history = self.config.history
        self.long.estimate(samples, at)
        if self.short is None:
            past = samples[:, at - history : at]
            self.errors[:, :history] = past - self.long.before(samples, at, history)
            return
        reach = self._reach
        past = samples[:, at - reach : at]
        self._left[:, :reach] = past - self.long.before(samples, at, reach)
        self.short.estimate(self._left, reach)
        more = self.short.before(self._left, reach, history)
        self.errors[:, :history] = self._left[:, reach - history : reach] - more

    def predict(self, samples: Tensor, at: int, place: int) -> None:
        """Predict sample ``at``, which is number ``place`` of its patch."""
        if place and place % self.block == 0:
            self.long.estimate(samples, at)
        self._far = self.predicted = self.long.next(samples, at)
        if self.short is not None:
            there = self._reach + place
            if place and place % self.config.refine_block == 0:
                self.short.estimate(self._left, there)
            self.predicted = self._far + self.short.next(self._left, there)

    def add(self, sample: Tensor, place: int) -> None:
        """Take a sample [B] that was predicted."""
        self.errors[:, self.config.history + place] = sample - self.predicted
        self._left[:, self._reach + place] = sample - self._far


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
        self._first = max(*config.spans, config.refine_span) + LEVEL + 2 * config.history
        lead = -past.shape[1] % size
        self._at = self._first + lead + past.shape[1]
        self._samples = torch.zeros(rows, self._at + number, device=past.device)
        silence = past.new_full((rows, lead), SILENCE)
        known = decode(torch.cat([silence, past], dim=1))
        self._samples[:, self._first : self._at] = known
        self._lines = [
            _Line(config, number, rows, past.device) for number in range(len(config.orders))
        ]
        channels = 1 + len(config.orders)
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
        place, history = self._place, self.config.history
        means, slow, fast = [], [], []
        for line in self._lines:
            line.predict(self._samples, self._at, place)
            means.append(line.predicted[:, None])
            errors = line.errors[:, place : place + history].abs()
            slow.append(errors.mean(dim=-1, keepdim=True))
            fast.append(errors[:, -FAST:].mean(dim=-1, keepdim=True))
        past = self._past[..., place : place + history]
        features = assemble(past, means, slow, fast, self._level)
        logits, centers, log_scales = self.model.decoder(features, self._context)
        return logits[:, 0], centers[:, 0], log_scales[:, 0]

    def add(self, levels: Tensor) -> None:
        """Take the next sample's level, int64 [B]."""
        sample, there = decode(levels), self.config.history + self._place
        self._samples[:, self._at] = sample
        newest = [sample]
        for line in self._lines:
            line.add(sample, self._place)
            newest.append(line.errors[:, there])
        self._past[..., there] = torch.asinh(torch.stack(newest, dim=1) / self._usual)
        self._at += 1
        self._place += 1

    def _begin_patch(self) -> None:
        """Prepare what all samples of a patch share."""
        history, size, at = self.config.history, self.config.patch, self._at
        first = max(self._first, at + size - self.config.window)
        window = torch.nn.functional.pad(self._samples[:, first:at], (0, size))
        self._context = self.model.context(window)[:, -1]
        level = self._samples[:, at - LEVEL : at].square().mean(dim=-1, keepdim=True)
        self._level = level.sqrt().clamp_min(QUIETEST)
        newest, usual = [self._samples[:, at - history : at]], [self._level]
        for line in self._lines:
            line.begin(self._samples, at)
            errors = line.errors[:, :history]
            newest.append(errors)
            usual.append(errors.abs().mean(dim=-1, keepdim=True).clamp_min(QUIETEST))
        self._usual = torch.cat(usual, dim=-1)
        scaled = torch.stack(newest, dim=1) / self._usual[..., None]
        self._past[..., :history] = torch.asinh(scaled)
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
