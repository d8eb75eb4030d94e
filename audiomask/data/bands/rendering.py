"""Rendering: from plans and a note bank's samples to mixtures and stems.

On a CPU notes are added one by one with NumPy, on a GPU all at once by gather and scatter, with the
same result.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiomask.data.bands.render_plan import RELEASE_SAMPLES, RenderPlan
from audiomask.data.effects import apply_effects
from audiomask.data.excerpt import Excerpt, rms, scale_to_rms
from audiomask.data.mastering import master

_Audio = npt.NDArray[np.float32]

#: factor from 16-bit integers to samples
_INT16_SCALE = 1 / 32768
#: root mean square of lines below which they are silent
_SILENCE = 1e-5
#: gain of a note's release
_RELEASE_CURVE = np.square(1 - np.arange(RELEASE_SAMPLES, dtype=np.float32) / RELEASE_SAMPLES)
#: samples gathered at once, of about 40 bytes of GPU memory each
CHUNK = 1 << 25


def render(plan: RenderPlan, notes: Tensor, stems: int, samples: int) -> Excerpt:
    """Render a plan.

    Args:
        plan: of I excerpts, on the device of ``notes``.
        notes: the bank's samples, int16 [total].
        stems: number of places for stems, with the last for all others.
        samples: length T of an excerpt.

    Returns:
        Mixtures [I, C, T] and stems [I, stems, C, T].
    """
    lines = apply_effects(_place_notes(plan, notes, samples)[:, None], plan.effects)
    loud = rms(lines)
    gain = torch.where(loud > _SILENCE, plan.level / loud.clamp_min(_SILENCE), 0)
    channels = lines.shape[1]
    out = lines.new_zeros(plan.items * stems, channels, samples)
    out.index_add_(0, plan.item * stems + plan.slot, lines * gain[:, None, None])
    balanced = out.view(plan.items, stems, channels, samples)
    return scale_to_rms(master(balanced, plan.master), plan.rms_db)


def _place_notes(plan: RenderPlan, notes: Tensor, samples: int) -> Tensor:
    """The dry lines [L, T] of a plan, from notes int16 [total]."""
    if notes.is_cuda:
        return gather_notes(plan, notes, samples)
    return torch.from_numpy(add_notes(plan, notes.numpy(), samples))


def add_notes(plan: RenderPlan, notes: npt.NDArray[np.int16], samples: int) -> _Audio:
    """The dry lines [L, T] of a plan, rendered note by note.

    Repeated notes are resampled once.
    """
    out = np.zeros((plan.lines, samples), dtype=np.float32)
    columns = (plan.start, plan.ratio, plan.line, plan.onset, plan.length, plan.held, plan.gain)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    longest: dict[tuple[int, float], int] = {}
    for start, ratio, _, _, length, _, _ in rows:
        longest[start, ratio] = max(longest.get((start, ratio), 0), length)
    reach: dict[float, int] = {}
    for (_, ratio), length in longest.items():
        reach[ratio] = max(reach.get(ratio, 0), length)
    steps = {ratio: read_positions(ratio, length) for ratio, length in reach.items()}
    tones: dict[tuple[int, float], _Audio] = {}
    for start, ratio, line, onset, length, held, gain in rows:
        tone = tones.get((start, ratio))
        if tone is None:
            tone = read_note(notes, start, longest[start, ratio], ratio, *steps[ratio])
            tones[start, ratio] = tone
        first = max(-onset, 0)
        played = np.float32(gain) * tone[first:length]
        if held < length:
            release = max(held, first)
            played[release - first :] *= _RELEASE_CURVE[release - held : length - held]
        out[line, onset + first : onset + length] += played
    return out


def read_positions(ratio: float, length: int) -> tuple[npt.NDArray[np.intp], _Audio]:
    """Positions of ``length`` played samples in a recording, as integers and fractions."""
    position = np.arange(length) * ratio
    index = position.astype(np.intp)
    return index, (position - index).astype(np.float32)


def read_note(
    notes: npt.NDArray[np.int16],
    start: int,
    length: int,
    ratio: float,
    index: npt.NDArray[np.intp],
    fraction: _Audio,
) -> _Audio:
    """``length`` samples of a note, resampled by linear interpolation.

    Args:
        notes: the bank's samples, int16 [total].
        start: the note's first sample.
        length: samples to return.
        ratio: recorded samples per played one.
        index, fraction: as ``read_positions`` returns them, for ``length`` samples or more.
    """
    if ratio == 1:
        return notes[start : start + length].astype(np.float32) * np.float32(_INT16_SCALE)
    last = int(index[length - 1]) + 2 if length else 0
    source = notes[start : start + last].astype(np.float32)
    source *= np.float32(_INT16_SCALE)
    tone = source[index[:length]]
    slope = np.diff(source)[index[:length]]
    slope *= fraction[:length]
    tone += slope
    return tone


def gather_notes(plan: RenderPlan, notes: Tensor, samples: int) -> Tensor:
    """The dry lines [L, T] of a plan, in chunks of about ``CHUNK`` samples of notes.

    A GPU adds overlapping notes in no fixed order, so the last bit may differ between runs.
    """
    out = torch.zeros(plan.lines * samples, device=notes.device)
    ends = plan.length.cumsum(0)
    chunk = torch.div(ends, CHUNK, rounding_mode="floor")
    for number in torch.unique(chunk).tolist():
        which = chunk == number
        length, held = plan.length[which], plan.held[which]

        def repeat(values: Tensor, counts: Tensor = length) -> Tensor:
            return values.repeat_interleave(counts)

        begins = length.cumsum(0) - length
        index = torch.arange(int(length.sum()), device=notes.device) - repeat(begins)
        position = index * repeat(plan.ratio[which])
        before = position.long()
        fraction = (position - before).float()
        source = repeat(plan.start[which]) + before
        value = notes[source].float()
        # without resampling, the note may end with its recording, which has no next sample
        after = notes[torch.where(fraction > 0, source + 1, source)].float()
        value = (value + fraction * (after - value)) * (_INT16_SCALE * repeat(plan.gain[which]))
        release = 1 - (index - repeat(held)).clamp_min(0) / RELEASE_SAMPLES
        target = index + repeat(plan.onset[which])
        inside = (target >= 0) & (target < samples)
        target = target + repeat(plan.line[which]) * samples
        out.index_add_(0, target[inside], (value * release * release)[inside])
    return out.view(plan.lines, samples)
