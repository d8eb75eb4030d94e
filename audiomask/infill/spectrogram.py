"""Gaps filled by the spectrogram model: its magnitudes on what linear prediction carries on.

The model tells how loud every band is in every frame, and neither the partials within a band nor
any phase. These are true where linear prediction carries both sides into the gap: its sound gets,
frame by frame, the gains that make its bands as loud as predicted. What it cannot carry on dies
away in it; there noise takes its place. A few iterations of Griffin and Lim (1984), with the known
samples held, make the frames agree with each other and with both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.spectra import band_weights, centered, frame_spectra, hann
from audiomask.infill.context import OffsetSource, envelope, fill_with_mirror
from audiomask.infill.gaps import Gap
from audiomask.infill.short_gaps import fill_short
from audiomask.infill.views import BridgedSource
from audiomask.networks.spectrogram.features import BandSpectrum, compress, expand, reference
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.vqvae.phase_reconstruction import griffin_lim

#: known frames a side that are synthesized with the gap's
_NEAR = 8
#: the most, in dB, that what is carried on is raised; noise makes up for the rest
_RAISED = 30.0
#: rounds in which the gains of overlapping bands are found, and the largest, of power; iterations
#: of Griffin-Lim
_ROUNDS, _MOST_GAIN, _ITERATIONS = 3, 1e6, 10
#: seconds a side in which the filling sets in, and their largest share of the gap: linear
#: prediction is truest there
_EDGE, _EDGE_SHARE = 0.01, 1 / 4
#: power that is none
_NOTHING = 1e-20


class _SpectrogramFilling(NamedTuple):
    """What the model makes of a gap.

    Attributes:
        samples: float32 [C, gap.length].
        passes: windows of the model; 0 where it knew no frame, and linear prediction is all.
    """

    samples: Tensor
    passes: int


class _Surroundings(NamedTuple):
    """The sound around a gap at the model's rate, in its frames.

    Attributes:
        audio: [C, F * hop], with linear prediction in the gap and mirror images in others.
        start: its first frame, in the recording.
        first, last: the gap's frames [first, last), counted from ``start``.
        unknown: frames that a gap touches, bool [F].
        scale: the model's rate over the recording's.
    """

    audio: Tensor
    start: int
    first: int
    last: int
    unknown: Tensor
    scale: float


class SpectrogramFiller:
    """Fills gaps with a spectrogram model.

    Args:
        model: in evaluation mode, with a head for magnitudes.
        device: where it is.
    """

    def __init__(self, model: SpectrogramModel, device: torch.device) -> None:
        self.model, self.device = model, device
        config = self.config = model.config
        self.spectrum = BandSpectrum(config)
        nyquist = config.sample_rate / 2
        bins = config.stft_size // 2 + 1
        self.weights = band_weights(bins, nyquist, config.bands, nyquist)

    @torch.no_grad()
    def fill(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> _SpectrogramFilling:
        """The samples of a gap, every channel by itself.

        A gap of more than half a window is filled in parts, from left to right where there is sound
        on the left.

        Args:
            source: the recording; the gap's samples are ignored.
            gap: the gap.
            gaps: all gaps of the recording, none of which is read as sound.
        """
        carried = fill_short(source, gap, gaps)
        around = self._surroundings(BridgedSource(source, gap, gaps, carried), gap, gaps)
        power = torch.stack([self.spectrum(channel) for channel in around.audio])
        passes = self._predict(power, around)
        if not passes:
            return _SpectrogramFilling(carried, 0)
        change = self._synthesize(power, around, gap)
        offset = around.start * self.config.hop_length
        placed = OffsetSource(change, self.config.sample_rate, offset)
        change = ResampledSource(placed, source.sample_rate).read(gap.start, gap.stop)
        edge = min(round(_EDGE * source.sample_rate), int(_EDGE_SHARE * gap.length))
        weight = 1 - envelope(gap.length, edge, edge)
        return _SpectrogramFilling(carried + weight * change, passes)

    def _surroundings(self, bridged: BridgedSource, gap: Gap, gaps: Sequence[Gap]) -> _Surroundings:
        """The sound that the model hears around a gap."""
        config = self.config
        audio, hop = ResampledSource(bridged, config.sample_rate), config.hop_length
        scale = config.sample_rate / bridged.sample_rate
        frames = -(-audio.frames // hop)
        # windows reach beyond their frame on both sides
        reach = config.stft_size - hop - (config.stft_size - hop) // 2

        def touched(one: Gap) -> tuple[int, int]:
            first = (math.floor(one.start * scale) - reach) // hop
            last = -(-(math.ceil(one.stop * scale) + reach) // hop)
            return max(first, 0), min(last, frames)

        first, last = touched(gap)
        low = max(min((first + last - config.window) // 2, frames - config.window), 0)
        low = min(low, max(first - config.window // 4, 0))
        high = min(max(low + config.window, last + config.window // 4), frames)
        samples = audio.read(low * hop, high * hop)
        unknown = torch.zeros(high - low, dtype=torch.bool)
        for one in gaps:
            begin, end = touched(one)
            unknown[max(begin - low, 0) : max(end - low, 0)] = True
            if one != gap:
                place = [round(edge * scale) - low * hop for edge in (one.start, one.stop)]
                fill_with_mirror(samples, *place)
        return _Surroundings(samples, low, first - low, last - low, unknown, scale)

    def _predict(self, power: Tensor, around: _Surroundings) -> int:
        """Put predicted powers into the gap's frames of power [C, F, bands]; returns the windows.

        None is needed where no frame is known.
        """
        window = self.config.window
        unknown, total = around.unknown.clone(), power.shape[1]
        if bool(unknown.all()):
            return 0
        portions = torch.split(torch.arange(around.first, around.last), max(window // 2, 1))
        if bool(unknown[: around.first].all()):  # nothing is known before the gap
            portions = portions[::-1]
        for portion in portions:
            first, last = int(portion[0]), int(portion[-1]) + 1
            low = max(min(first - (window - (last - first)) // 2, total - window), 0)
            view = slice(low, min(low + window, total))
            made = self._fill_window(power[:, view], unknown[view])
            power[:, first:last] = made[:, first - low : last - low]
            unknown[first:last] = False
        return len(portions)

    def _fill_window(self, power: Tensor, hidden: Tensor) -> Tensor:
        """Powers [C, F, bands] of a window with predictions in hidden frames, bool [F]."""
        exponent = self.config.exponent
        top = reference(power, ~hidden)
        features = compress(power, top, exponent).to(self.device)
        filled = self.model.fill(features, hidden.expand(len(power), -1).to(self.device))
        # the reference of silence is not zero
        heard = (power * ~hidden[:, None]).amax(dim=(1, 2), keepdim=True) > 0
        return expand(filled.cpu().float(), top, exponent) * heard

    def _synthesize(self, power: Tensor, around: _Surroundings, gap: Gap) -> Tensor:
        """What the predicted powers change of the sound, [C, F * hop]; zeros outside the gap.

        Args:
            power: predicted in the gap's frames, [C, F, bands].
            around: the sound.
            gap: the gap.
        """
        size, hop = self.config.stft_size, self.config.hop_length
        near = slice(max(around.first - _NEAR, 0), min(around.last + _NEAR, power.shape[1]))
        span = slice(near.start * hop, near.stop * hop)
        first, last = (round(edge * around.scale) for edge in (gap.start, gap.stop))
        known = torch.ones(around.audio.shape[1])
        known[first - around.start * hop : last - around.start * hop] = 0
        sound, known = around.audio[:, span], known[span]
        spectra = frame_spectra(centered(sound, size, hop), size, hop)
        inside = slice(around.first - near.start, around.last - near.start)
        goal = power[:, around.first : around.last]
        # frames at the edges hold mostly known sound
        shares = centered(1 - known, size, hop).unfold(0, size, hop) @ hann(size, known.device) ** 2
        shares = (shares / hann(size, known.device).square().sum())[inside, None]
        own = self._bands(spectra[:, inside])
        goal = torch.lerp((own + _NOTHING).log(), (goal + _NOTHING).log(), shares).exp()
        goal *= goal > 2 * _NOTHING
        draw = torch.Generator().manual_seed(gap.start)
        noise = torch.randn(1, sound.shape[1], generator=draw)
        noises = frame_spectra(centered(noise, size, hop), size, hop)[:, inside]
        missing = (goal - 10 ** (_RAISED / 10) * own).clamp_min(0)
        missing = missing / (self._bands(noises) + _NOTHING)
        filled = spectra[:, inside] + noises * self._bins(missing).sqrt()
        square, gains = filled.abs().square(), torch.ones_like(goal)
        for _ in range(_ROUNDS):
            found = (square * self._bins(gains)) @ self.weights
            gains = (gains * goal / (found + _NOTHING)).clamp_max(_MOST_GAIN)
        spectra[:, inside] = filled * self._bins(gains).sqrt()
        magnitude = spectra.abs()
        phases = torch.view_as_real(spectra / magnitude.clamp_min(1e-12)).movedim(-1, 0)
        made = griffin_lim(magnitude, phases, size, hop, _ITERATIONS, (sound, known))
        change = torch.zeros_like(around.audio)
        change[:, span] = (made - sound) * (1 - known)
        return change

    def _bands(self, spectra: Tensor) -> Tensor:
        """The power [..., F, bands] of spectra [..., F, bins] in the model's bands."""
        return spectra.abs().square() @ self.weights

    def _bins(self, bands: Tensor) -> Tensor:
        """Values of bands [..., F, bands] interpolated onto bins [..., F, bins]."""
        return bands @ self.weights.T
