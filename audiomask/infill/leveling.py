"""Generated fillings at the level of their surroundings: loudness, tone and bandwidth.

What is expected of many tokens is an average, and quieter than any of them; what is drawn may be
far too loud. In mel-spaced bands the power of a filling is brought towards that of the sound on
both sides, interpolated across the gap; then the sum of all bands, over shorter times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.audio.spectra import band_weights, from_bands, istft, stft, to_bands
from audiomask.infill.context import ramp
from audiomask.infill.gaps import Gap
from audiomask.infill.views import read_known

#: seconds of a window; bands; seconds a side whose power is the goal
_WINDOW, _BANDS, _SIDE = 0.046, 24, 0.5
#: the most that a band is raised, is lowered, and that the loud bands are raised beyond it, in dB:
#: in what is generated, and in what has died away
_RAISED, _LOWERED, _RAISED_TOGETHER, _REVIVED = 4.0, 40.0, 10.0, 60.0
#: bands within the first number of dB of the loudest are raised together, beyond the second none
_LOUD = 10.0, 20.0
#: seconds over which a filling's own power is averaged, over which gains above and below one set
#: in, and over which the result fades in
_SMOOTH, _ONSET, _CUT_ONSET, _FADE = 0.25, 0.06, 0.02, 0.015
#: seconds, from and to, over which the sum of all bands is evened in the end, how often (what is
#: generated, what has died away), and by how many dB each time
_SHORT, _TURNS, _REVIVING_TURNS, _EVENED = (0.06, 0.25), 2, 8, 6.0
#: above this frequency, in Hz, no more power than the surroundings have within this many Hz, by
#: this many dB
_HIGH, _NEAR, _HEADROOM = 2000.0, 250.0, 6.0
#: least power of a band, as a share of the loudest one's
_FLOOR = 1e-10
#: seconds of the limiter's reach, the largest sample in full scale, and the largest that a lossy
#: file's decoder makes of it
_LIMITER, _FULL_SCALE, _OVERSHOOT = 0.002, 0.9999, 1.5


def match_level(
    made: Tensor,
    span: Gap,
    source: AudioSource,
    gap: Gap,
    gaps: Sequence[Gap],
    faded: bool = False,
) -> Tensor:
    """A generated filling at the level of its surroundings.

    Args:
        made: [C, n], the samples of ``span``.
        span: where they lie.
        source: the recording, with whatever is known or extrapolated beside ``span``.
        gap: the gap, which ``span`` is about.
        gaps: all gaps of the recording.
        faded: whether it dies away towards its middle, as what is extrapolated does. Such sound is
            raised by far more than what is generated, whose level is seldom so wrong.

    Returns:
        float32 [C, n]; unchanged at its joins, and where nothing around it is known.
    """
    rate = source.sample_rate
    raised, turns = (_REVIVED, _REVIVING_TURNS) if faded else (_RAISED_TOGETHER, _TURNS)
    size = 1 << round(math.log2(_WINDOW * rate))
    hop = size // 4
    reach = round(_SIDE * rate) + size
    low, high = gap.start - reach, gap.stop + reach
    high += -(high - low) % hop
    _, known = read_known(source, low, high, gaps)
    sound = source.read(low, high).nan_to_num(0.0, 0.0, 0.0).clone()
    known[gap.start - low : gap.stop - low] = True  # extrapolated, or made
    sound[:, ~known] = 0
    sound[:, span.start - low : span.stop - low] = made
    known[gap.start - low : gap.stop - low] = False
    first, last = span.start - low, span.stop - low
    # sides that nothing follows on are no joins; windows there see the filling's mirror image
    closed = bool(known[gap.start - low - 1]), bool(known[gap.stop - low])
    beyond = min(size, made.shape[1])
    if not closed[0]:
        sound[:, first - beyond : first] = made[:, :beyond].flip(1)
    if not closed[1]:
        sound[:, last : last + beyond] = made[:, made.shape[1] - beyond :].flip(1)
    spectra = stft(sound, size, hop)
    power = spectra.abs().square().double()
    number = power.shape[-1]
    # frames whose windows hold known sound alone
    windows = F.pad(known.double(), (size // 2 - hop // 2,) * 2)
    whole = F.avg_pool1d(windows[None], size, hop)[0][:number] > 1 - 0.5 / size
    at = torch.arange(number) * hop + hop // 2 + low
    weights = band_weights(size // 2 + 1, rate / 2, _BANDS, rate / 2).double()
    bands = to_bands(power, weights)
    goal = _interpolated(bands, whole, at, gap)
    if goal is None:
        return made
    inside = (at >= span.start) & (at < span.stop)
    if not bool(inside.any()):
        return made
    own = _smoothed(bands, inside, max(round(_SMOOTH * rate / hop), 1))
    least = _FLOOR * goal.amax(dim=1, keepdim=True).clamp_min(1e-30)
    decibels = 10 * ((goal + least) / (own + least)).log10()
    decibels = decibels.clamp(-_LOWERED, _RAISED)
    lifted = own * 10 ** (decibels / 10)
    missing = (
        10
        * (
            (goal + least).sum(dim=1, keepdim=True) / (lifted + least).sum(dim=1, keepdim=True)
        ).log10()
    )
    # loudness is that of the loudest bands; to raise others as well would change the tone
    below = 10 * (goal / goal.amax(dim=1, keepdim=True).clamp_min(1e-30) + _FLOOR).log10()
    loud = ((below + _LOUD[1]) / (_LOUD[1] - _LOUD[0])).clamp(0, 1)
    decibels = decibels + loud * missing.clamp(-_LOWERED, raised)
    far = torch.full_like(at, made.shape[1])
    distance = torch.minimum(
        at - span.start if closed[0] else far, span.stop - at if closed[1] else far
    )
    distance = distance / rate
    slow, fast = (
        (0.5 - 0.5 * torch.cos(math.pi * (distance / seconds).clamp(0, 1))).double()
        for seconds in (_ONSET, _CUT_ONSET)
    )
    decibels = decibels * torch.where(decibels > 0, slow, fast)
    gain = 10 ** (from_bands(decibels, weights) / 20)
    settled = inside & (distance >= min(_ONSET, span.length / rate / 3))
    if bool(settled.any()):
        gain = gain * _within_bandwidth(power, gain, whole, settled, rate / size)
    # what bursts leave too quiet beside them: the sum of all bands, over shorter times
    short = min(max(span.length / rate / 3, _SHORT[0]), _SHORT[1])
    most = own.sum(dim=1, keepdim=True) * 10 ** ((_RAISED + raised) / 10)
    louder = goal.sum(dim=1, keepdim=True).minimum(most) * _bins_of_bands(power, bands, whole)
    for _ in range(turns):
        total = (power * gain.square()).sum(dim=1, keepdim=True)
        total = _smoothed(total, inside, max(round(short * rate / hop), 1))
        decibels = (10 * ((louder + 1e-30) / (total + 1e-30)).log10()).clamp(-_EVENED, _EVENED)
        gain = gain * 10 ** (decibels * torch.where(decibels > 0, slow, fast) / 20)
    found = istft(spectra * gain, size, hop)[:, first:last].float()
    # joins as they are, so that they fit
    fade = min(round(_FADE * rate), made.shape[1] // 2)
    share = torch.ones(made.shape[1])
    if closed[0]:
        share[:fade] = ramp(fade)
    if closed[1]:
        share[made.shape[1] - fade :] = ramp(fade).flip(0)
    return torch.lerp(made, found, share)


def _bins_of_bands(power: Tensor, bands: Tensor, known: Tensor) -> float:
    """The power of all bins over that of all bands, which overlap, in the frames that are known."""
    return float(power[..., known].sum() / bands[..., known].sum().clamp_min(1e-30))


def _interpolated(bands: Tensor, known: Tensor, at: Tensor, gap: Gap) -> Tensor | None:
    """The power of both sides [C, bands, F], interpolated in its logarithm across the gap."""
    sides = []
    for some in (known & (at < gap.start), known & (at >= gap.stop)):
        sides.append(bands[..., some].mean(dim=-1, keepdim=True) if bool(some.any()) else None)
    left, right = sides
    left, right = (right if left is None else left), (left if right is None else right)
    if left is None or right is None:
        return None
    loudest = torch.maximum(left, right).amax(dim=1, keepdim=True).clamp_min(1e-30)
    logs = [torch.maximum(side, _FLOOR * loudest).log() for side in (left, right)]
    share = ((at - gap.start) / gap.length).clamp(0, 1).double()
    return torch.lerp(logs[0], logs[1], share).exp()


def _smoothed(bands: Tensor, inside: Tensor, width: int) -> Tensor:
    """The moving average [C, bands, F] of the frames inside."""
    width += 1 - width % 2
    kept = inside.double()
    total, count = (
        F.avg_pool1d(x, width, 1, width // 2, count_include_pad=True)
        for x in (bands * kept, kept[None, None])
    )
    return total / count.clamp_min(1e-9)


def _within_bandwidth(
    power: Tensor, gain: Tensor, known: Tensor, inside: Tensor, hertz: float
) -> Tensor:
    """Gains [C, bins, 1] that keep a filling's high bins to the power that the surroundings have.

    Args:
        power, gain: of each bin and frame, [C, bins, F].
        known, inside: frames of the surroundings and of the filling, bool [F].
        hertz: between two bins.
    """
    width = 2 * round(_NEAR / hertz) + 1

    def profile(values: Tensor) -> Tensor:
        mean = values.mean(dim=-1)[:, None]
        return F.avg_pool1d(mean, width, 1, width // 2, count_include_pad=False)[:, 0]

    there = profile(power[..., known])
    made = profile((power * gain.square())[..., inside])
    most = 10 ** (_HEADROOM / 10) * there + 1e-30
    cut = (most / made.clamp_min(1e-30)).clamp_max(1).sqrt()
    cut[:, : round(_HIGH / hertz)] = 1
    return cut[..., None]


def peak_ceiling(source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> float:
    """The largest sample that a filling may have: full scale, or what is beside the gap.

    Peaks a little beyond full scale, as decoders of lossy files make them, allow none in a filling:
    they are clipped where samples are stored as integers.
    """
    side = round(_SIDE * source.sample_rate)
    peak = max(
        float(read_known(source, start, start + side, gaps)[0].abs().max())
        for start in (gap.start - side, gap.stop)
    )
    return peak if peak > _OVERSHOOT else _FULL_SCALE


def limit_peaks(samples: Tensor, ceiling: float, sample_rate: int) -> Tensor:
    """Samples [C, T] that nowhere exceed a ceiling, turned down smoothly around their peaks."""
    peaks = samples.abs().amax(dim=0)
    if not samples.shape[1] or float(peaks.max()) <= ceiling:
        return samples
    gain = (ceiling / peaks.clamp_min(ceiling))[None, None]
    half = max(round(_LIMITER * sample_rate), 1)
    width = 2 * half + 1
    # the least gain near, averaged: at a peak no more than what it needs
    least = -F.max_pool1d(F.pad(-gain, (2 * half, 2 * half), value=-1.0), width, 1)
    smooth = F.avg_pool1d(least, width, 1)[0, 0]
    return (samples * smooth).clamp(-ceiling, ceiling)


def level_db(samples: Tensor) -> float:
    """The mean power of samples in dB; -200 for silence."""
    return 10 * math.log10(float(samples.double().square().mean()) + 1e-20)


def relative_level(samples: Tensor, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> float:
    """The level of a filling's middle third against the half second on each side, in dB.

    Args:
        samples: [C, gap.length].
        source: the recording.
        gap: the gap.
        gaps: all gaps of the recording.

    Returns:
        NaN where nothing is known around the gap, or all is silent.
    """
    side = round(_SIDE * source.sample_rate)
    total, count = 0.0, 0
    for start in (gap.start - side, gap.stop):
        audio, known = read_known(source, start, start + side, gaps)
        total += float(audio.double().square().sum())
        count += int(known.sum()) * len(audio)
    third = gap.length // 3
    middle = samples[:, third : gap.length - third]
    if not count or total == 0:
        return math.nan
    return level_db(middle) - 10 * math.log10(total / count)
