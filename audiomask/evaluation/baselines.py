"""Baselines: methods without a model, and an oracle that knows the true stems."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.audio.spectra import istft, stft
from audiomask.infill.autoregressive import interpolate, model_order
from audiomask.infill.context import ramp
from audiomask.infill.gaps import Gap
from audiomask.infill.splice import Patch

#: window and hop, in samples, of the ratio mask's spectrum
_SIZE, _HOP = 4096, 512
#: frames masked at a time, and frames of context on each side, more than a window reaches
BLOCK, _CONTEXT = 1024, 2 * _SIZE // _HOP
#: cutoff of the lowpass in Hz, below which most of the sound is the bass; its order
CUTOFF, _ORDER = 200, 4
#: seconds of audio on each side that autoregressive models are estimated from
_SIDE = 0.1


def ratio_mask(mixture: Tensor, stems: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The stems by the ideal ratio mask, their true share of the power: an oracle.

    It is about the best result of a mask that keeps the mixture's phase. The rest of the mixture
    counts as a source as well.

    Args:
        mixture: [C, T].
        stems: the true ones, [C, T] each.

    Returns:
        [C, T] each.
    """
    length = mixture.shape[-1]
    frames = -(-length // _HOP)
    rest = mixture - torch.stack(list(stems.values())).sum(dim=0)
    sources = F.pad(torch.stack([*stems.values(), rest]), (0, frames * _HOP - length))
    whole = F.pad(mixture, (0, frames * _HOP - length))
    parts = []
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        low, high = max(start - _CONTEXT, 0), min(stop + _CONTEXT, frames)
        view = slice(low * _HOP, high * _HOP)
        power = stft(sources[..., view], _SIZE, _HOP).abs().square()
        shares = power[:-1] / power.sum(dim=0).clamp_min(1e-12)
        audio = istft(shares * stft(whole[..., view], _SIZE, _HOP), _SIZE, _HOP)
        parts.append(audio[..., (start - low) * _HOP : (stop - low) * _HOP])
    made = torch.cat(parts, dim=-1)[..., :length]
    return dict(zip(stems, made, strict=True))


def lowpass(mixture: Tensor, sample_rate: int) -> Tensor:
    """A mixture below ``CUTOFF``: a trivial separation of the bass, [C, T].

    By a Butterworth filter that runs forwards and backwards, and so delays nothing.

    Args:
        mixture: [C, T].
        sample_rate: samples a second.
    """
    sections = butter(_ORDER, CUTOFF, fs=sample_rate, output="sos")
    # scipy's default extension at both ends, limited as scipy requires
    pad = min(3 * (2 * len(sections) + 1), mixture.shape[-1] - 1)
    low = sosfiltfilt(sections, mixture.double().numpy(), padlen=pad)
    return torch.from_numpy(low.copy()).to(mixture.dtype)


def repeat(audio: Tensor, gap: Gap, fade: int) -> Patch:
    """A gap filled with a copy of the audio just before it, cross-faded with both sides.

    Args:
        audio: [C, T], with ``gap.length + 3 * fade`` samples before the gap, ``fade`` after it.
        gap: to fill.
        fade: samples of the cross-fade on each side.
    """
    start, stop = gap.start - fade, gap.stop + fade
    copy = audio[:, 2 * start - stop : start]
    weight = F.pad(ramp(fade), (0, gap.length + fade), value=1.0)
    weight[gap.length + fade :] = ramp(fade).flip(0)
    return Patch(start, torch.lerp(audio[:, start:stop], copy, weight))


def autoregressive(audio: Tensor, gap: Gap, sample_rate: int) -> Patch:
    """A gap filled by autoregressive interpolation (``audiomask.infill.autoregressive``).

    Args:
        audio: [C, T].
        gap: to fill.
        sample_rate: samples a second.
    """
    side = round(_SIDE * sample_rate)
    start = max(gap.start - side, 0)
    stop = min(gap.stop + side, audio.shape[1])
    near = MemorySource(audio, sample_rate).read(start, stop)
    order = model_order(gap.length, max(gap.start - start, stop - gap.stop))
    return Patch(gap.start, interpolate(near, gap.start - start, gap.stop - start, order))


def silence(audio: Tensor, gap: Gap) -> Patch:
    """A gap in audio [C, T] filled with digital silence."""
    return Patch(gap.start, audio.new_zeros(len(audio), gap.length))
