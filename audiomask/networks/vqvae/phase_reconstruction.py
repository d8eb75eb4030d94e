"""Phases for a spectrogram without phases: a locked phase vocoder, then fast Griffin-Lim.

A partial spreads over some neighbouring bins. They must advance together at the partial's frequency
and with alternating signs, or it beats and dies (phase locking: Laroche & Dolson 1999, section 4;
single-pass inversion: Beauregard et al. 2015). Here neighbouring bins are coupled by smooth weights
rather than locked to picked peaks, so that rounding errors stay rounding errors. Griffin-Lim
iterations then make neighbouring frames consistent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from audiomask.audio.spectra import (
    centered,
    finish_overlap_add,
    frame_spectra,
    frames_per_chunk,
    overlap_add,
    overlap_add_buffer,
    synthesis_window,
)
from audiomask.networks.vqvae.spectrum import complex_abs

#: frames that phases are propagated through from a fixed start: a frame's phases depend on its
#: block and the one before, on nothing earlier
BLOCK = 128
#: frames over which one block's phases fade into those of the next
OVERLAP = 16
#: exponent of the magnitude by which a bin weighs in the phase of its neighbours
_COUPLING_EXPONENT = 3.0
#: Griffin-Lim iterations, and how much of the last step the next one adds
ITERATIONS = 2
_MOMENTUM = 0.99


def frames_needed(start: int, stop: int, total: int, overlap: int) -> tuple[int, int]:
    """The frames that decide the sound of frames [start, stop) of ``total``.

    Args:
        overlap: frames a side whose windows overlap with a frame's.

    Returns:
        [first, last), the first of which begins a block.
    """
    around = overlap * (ITERATIONS + 1)
    first = max((start - around) // BLOCK - 1, 0) * BLOCK
    return first, min(stop + around, total)


@torch.no_grad()
def propagate(magnitude: Tensor, phase_advance: Tensor) -> Tensor:
    """Integrate phase advances over frames, block by block.

    Args:
        magnitude: [B, F, bins]; the first frame begins a block.
        phase_advance: unit phasors' expectation from the frame before, [2, B, F, A] (real and
            imaginary part); its absolute value is the tonality, 0 to 1. The bins above the lowest A
            get random phases.

    Returns:
        Unit phasors [2, B, F, bins].
    """
    _, batch, frames, tonal = phase_advance.shape
    bins = magnitude.shape[-1]
    blocks = -(-frames // BLOCK)
    # bins of one partial have phases of alternating sign; without the signs they advance alike
    signs = _alternating_signs(tonal, phase_advance.device)
    random = _random_phasors(bins, phase_advance.device)
    noise = random[..., :tonal] * signs
    starts = BLOCK * torch.arange(blocks, device=phase_advance.device)
    phases = phase_advance.new_empty(2, batch, blocks, BLOCK, bins)
    tails = phase_advance.new_empty(2, batch, blocks, OVERLAP, bins)
    above = random[..., tonal:].movedim(1, 0)[:, None, None]
    phases[..., tonal:], tails[..., tonal:] = above[..., :BLOCK, :], above[..., BLOCK:, :]
    phase = noise[-1, :, None].expand(2, batch * blocks, tonal)
    for number in range(BLOCK + OVERLAP):
        # this step's frame of every block; the last frame is repeated beyond the end
        places = (starts + number).clamp_max(frames - 1)
        advance = phase_advance.index_select(2, places).flatten(1, 2)
        weight = magnitude[..., :tonal].index_select(1, places).flatten(0, 1)
        phase = _advance_phases(phase, advance, weight, noise[number, :, None])
        out = phases[:, :, :, number] if number < BLOCK else tails[:, :, :, number - BLOCK]
        torch.mul(phase.view(2, batch, blocks, tonal), signs, out=out[..., :tonal])
    ramp = (torch.arange(OVERLAP, device=phase_advance.device) + 0.5)[:, None] / OVERLAP
    heads = phases[:, :, 1:, :OVERLAP]
    heads.copy_(_normalize_phasors(torch.lerp(tails[:, :, :-1], heads, ramp)))
    return phases.flatten(2, 3)[:, :, :frames]


def _advance_phases(
    phase: Tensor, phase_advance: Tensor, magnitude: Tensor, noise: Tensor
) -> Tensor:
    """The next frame's unit phasors: advanced, coupled with both neighbours, noise where not tonal.

    Args:
        phase: unit phasors of the frame before, [2, N, bins].
        phase_advance: [2, N, bins], overwritten.
        magnitude: [N, bins], overwritten.
        noise: random phasors [2, 1 or N, bins].
    """
    tonality = complex_abs(phase_advance).clamp_max_(1)
    phase_advance *= magnitude.add_(1e-5).mul_(1 / 1e-2).pow_(_COUPLING_EXPONENT)
    (x, y), (a, b) = phase, phase_advance
    # one more bin of weight zero on either side
    weighted = phase_advance.new_zeros(*phase_advance.shape[:2], phase_advance.shape[2] + 2)
    real, imaginary = weighted[..., 1:-1]
    torch.mul(x, a, out=real).addcmul_(y, b, value=-1)
    torch.mul(x, b, out=imaginary).addcmul_(y, a)
    coupled = weighted[..., :-2] + weighted[..., 2:]
    coupled += weighted[..., 1:-1]
    scale = _inverse_abs(coupled).mul_(tonality)
    mixed = torch.addcmul((1 - tonality) * noise, coupled, scale)
    return mixed.mul_(_inverse_abs(mixed))


def shared_phase(magnitude: Tensor, phase_advance: Tensor) -> tuple[Tensor, Tensor]:
    """One spectrogram for all channels: their phase advances averaged by power.

    Args:
        magnitude: [C, F, bins].
        phase_advance: [2, C, F, A], A bins at most.

    Returns:
        root mean square magnitude [1, F, bins] and phase advance [2, 1, F, A].
    """
    power = magnitude.square()
    total = power.mean(dim=0, keepdim=True)
    tonal = phase_advance.shape[-1]
    weighted = (power[..., :tonal] * phase_advance).mean(dim=1, keepdim=True)
    shared = weighted / (total[..., :tonal] + 1e-20)
    return total.sqrt(), shared


def _normalize_phasors(z: Tensor) -> Tensor:
    """Complex numbers ``z`` [2, …] scaled to absolute value 1."""
    return z * _inverse_abs(z)


def _inverse_abs(z: Tensor, min_square: float = 1e-30) -> Tensor:
    """1 / |z| of complex numbers ``z`` [2, …], |z|² at least ``min_square``."""
    real, imaginary = z
    return torch.addcmul(real.square().add_(min_square), imaginary, imaginary).rsqrt_()


def _alternating_signs(bins: int, device: torch.device) -> Tensor:
    """+1, -1, +1 … [bins]."""
    signs = torch.ones(bins, device=device)
    signs[1::2] = -1
    return signs


@lru_cache(maxsize=8)
def _random_phasors(bins: int, device: torch.device) -> Tensor:
    """Random phasors [BLOCK + OVERLAP, 2, bins], the same on every machine and in every block."""
    with torch.inference_mode(False):
        generator = torch.Generator().manual_seed(0)
        angle = 2 * math.pi * torch.rand(BLOCK + OVERLAP, bins, generator=generator)
        return torch.stack([angle.cos(), angle.sin()], dim=1).to(device)


def propagate_between(
    magnitude: Tensor, phase_advance: Tensor, before: Tensor | None, after: Tensor | None
) -> Tensor:
    """Unit phasors of frames between known ones: propagated from both sides, faded in the middle.

    Args:
        magnitude: [B, F, bins], of the frames between.
        phase_advance: from the frame before, [2, B or 1, F + 1, A]; the last is the advance into
            the first known frame after them.
        before: phasors of the known frame before, [2, B, bins], or None if there is none.
        after: likewise of the one after.

    Returns:
        Unit phasors [2, B, F, bins].
    """
    frames = magnitude.shape[1]
    forwards = _propagate_from(magnitude, phase_advance[:, :, :frames], before)
    if after is None:
        return forwards
    # in reversed time a bin's advance is the conjugate of that of the frame after
    other = phase_advance[:, :, 1:].flip(2) * phase_advance.new_tensor([1.0, -1.0]).view(2, 1, 1, 1)
    backwards = _propagate_from(magnitude.flip(1), other, after).flip(2)
    if before is None:
        return backwards
    place = (torch.arange(frames, device=phase_advance.device) + 0.5)[:, None] - frames / 2
    ramp = (place / min(frames, OVERLAP) + 0.5).clamp(0, 1)
    return _normalize_phasors(torch.lerp(forwards, backwards, ramp))


def _propagate_from(magnitude: Tensor, phase_advance: Tensor, start: Tensor | None) -> Tensor:
    """Unit phasors [2, B, F, bins] that advance frame by frame from ``start`` [2, B, bins]."""
    _, frames, bins = magnitude.shape
    tonal = phase_advance.shape[-1]
    signs = _alternating_signs(tonal, phase_advance.device)
    random = _random_phasors(bins, phase_advance.device)
    noise = random[..., :tonal] * signs
    phase = noise[-1, :, None] if start is None else start[..., :tonal] * signs
    found = []
    for number in range(frames):
        weight = magnitude[:, number, :tonal].clone()
        advance = phase_advance[:, :, number].expand(2, *weight.shape).clone()
        phase = _advance_phases(phase, advance, weight, noise[number % len(noise), :, None])
        found.append(phase)
    above = random[torch.arange(frames, device=random.device) % len(random), :, tonal:]
    above = above.movedim(1, 0)[:, None].expand(2, len(magnitude), -1, -1)
    return torch.cat([torch.stack(found, dim=2) * signs, above], dim=-1)


@torch.no_grad()
def griffin_lim(
    magnitude: Tensor,
    phases: Tensor,
    size: int,
    hop: int,
    iterations: int = ITERATIONS,
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Audio [B, F * hop] of magnitudes [B, F, bins] and first phases [2, B or 1, F, bins].

    The fast variant of Perraudin et al. (2013, eq. 4), in a frequency-last layout.

    Args:
        known: audio that phases have to be consistent with, [B, F * hop], and its weight
            [F * hop]: 1 where it is the output itself.
    """
    batch, frames, _ = magnitude.shape
    window = synthesis_window(size, hop, magnitude.device)
    step = frames_per_chunk(magnitude.device, batch)
    before = torch.empty_like(magnitude.expand(2, -1, -1, -1)) if iterations > 1 else None

    def synthesize(parts: Callable[[slice], Tensor]) -> Tensor:
        """Audio of spectra, given as real and imaginary parts [2, B, n, bins] of some frames.

        They are few enough to stay in a processor's caches from one step to the next.
        """
        total = overlap_add_buffer((batch,), frames, size, hop, magnitude.device)
        for begin in range(0, frames, step):
            end = min(begin + step, frames)
            made = torch.fft.irfft(torch.complex(*parts(slice(begin, end))), n=size)
            overlap_add(total[:, begin : end - frames + total.shape[1]], made, window)
        return finish_overlap_add(total, size, hop)

    audio = synthesize(lambda some: magnitude[:, some] * phases[:, :, some])
    for number in range(iterations):
        padded = centered(audio if known is None else torch.lerp(audio, *known), size, hop)

        def project(some: slice, padded: Tensor = padded, first: bool = number == 0) -> Tensor:
            around = padded[:, some.start * hop : (some.stop - 1) * hop + size]
            spectrum = torch.view_as_real(frame_spectra(around, size, hop))
            ahead = found = spectrum.movedim(-1, 0).contiguous()
            if before is not None:
                if not first:
                    ahead = torch.lerp(before[:, :, some], found, 1 + _MOMENTUM)
                before[:, :, some] = found
            return ahead * _inverse_abs(ahead, 1e-16).mul_(magnitude[:, some])

        audio = synthesize(project)
    return audio
