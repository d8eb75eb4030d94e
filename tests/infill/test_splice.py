from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import uniform_noise

from audiomask.audio.files import AudioFile
from audiomask.audio.formats import default_subtype
from audiomask.audio.pcm import to_integers
from audiomask.audio.writer import AudioWriter
from audiomask.infill import splice as module
from audiomask.infill.detection.detect import detect_faults
from audiomask.infill.gaps import Gap, merge_gaps
from audiomask.infill.splice import Patch, copy_with_patches, crossfade_bounds

FRAMES = 5000


def splice(source: Path, target: Path, patches: list[Patch]) -> tuple[np.ndarray, list[int]]:
    with AudioFile(source) as file:
        subtype = default_subtype(file.subtype, target.suffix[1:])
        with AudioWriter(target, file.sample_rate, file.channels, subtype, overwrite=True) as out:
            done = list(copy_with_patches(file, iter(patches), out))
    with AudioFile(target) as file:
        return file.read_raw(0, file.frames), done


@given(
    cuts=st.lists(st.integers(0, FRAMES), unique=True, max_size=8).map(sorted),
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]),
    block=st.sampled_from([1000, 4096, 65_536]),
)
def test_only_the_patches_change(
    cuts: list[int], subtype: str, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    noise = uniform_noise(FRAMES, 2, level=1)
    soundfile.write(folder / "in.wav", noise, 22_050, subtype=subtype)
    with AudioFile(folder / "in.wav") as file:
        expected = file.read_raw(0, FRAMES).copy()
    patches = []
    for start, stop in zip(cuts[::2], cuts[1::2], strict=False):
        samples = torch.full((2, stop - start), 0.3)
        patches.append(Patch(start, samples))
        whole = expected.dtype == np.int32
        expected[start:stop] = to_integers(samples, subtype) if whole else samples.T.numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        got, done = splice(folder / "in.wav", folder / "out.wav", patches)
    assert np.array_equal(got, expected)
    assert done == sorted(done)
    assert done[-1] == FRAMES


def test_not_a_bit_changes_without_patches_even_what_is_no_number(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, -0.0, 1e-40], np.float32)
    soundfile.write(tmp_path / "in.wav", np.tile(odd, 20), 8000, subtype="FLOAT")
    got, _ = splice(tmp_path / "in.wav", tmp_path / "out.wav", [])
    assert got.astype(np.float32).tobytes() == np.tile(odd, 20).tobytes()


def test_patches_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(FRAMES), 8000)
    asked = []

    def patches():
        for start in (1000, 3000):
            asked.append(start)
            yield Patch(start, torch.ones(1, 10))

    with (
        AudioFile(tmp_path / "in.wav") as file,
        AudioWriter(tmp_path / "out.wav", 8000, 1) as out,
    ):
        steps = copy_with_patches(file, patches(), out)
        assert next(steps) == 1000
        assert asked == [1000]
        assert list(steps)[-1] == FRAMES


@pytest.mark.parametrize("starts", [(100, 50), (100, 105), (FRAMES - 5,)])
def test_patches_out_of_order_or_place_are_a_defect(
    starts: tuple[int, ...], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(FRAMES), 8000)
    patches = [Patch(start, torch.zeros(1, 10)) for start in starts]
    with pytest.raises(ValueError, match="is not within"):
        splice(tmp_path / "in.wav", tmp_path / "out.wav", patches)
    assert not (tmp_path / "out.wav").exists()


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Looking for gaps, patching and copying: some blocks of memory, however long the file."""
    audio = np.random.default_rng(0).integers(-99, 99, (6_000_000, 1)).astype(np.int16)
    soundfile.write(tmp_path / "in.wav", audio, 44_100)
    tracemalloc.start()
    with AudioFile(tmp_path / "in.wav") as file:
        detect_faults(file)
        with AudioWriter(tmp_path / "out.flac", 44_100, 1) as out:
            for _ in copy_with_patches(file, [Patch(10, torch.zeros(1, 100))], out):
                pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < audio.nbytes / 2


@given(
    pairs=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), min_size=1, max_size=12),
    after=st.integers(0, 60),
    fade=st.integers(0, 80),
)
def test_crossfades_stay_off_each_other_the_gaps_and_the_ends(
    pairs: list[tuple[int, int]], after: int, fade: int
) -> None:
    gaps = merge_gaps(Gap(start, start + length) for start, length in pairs)
    frames = gaps[-1].stop + after
    bounds = crossfade_bounds(gaps, frames, fade)
    assert len(bounds) == len(gaps)
    taken = np.zeros(frames, int)
    for gap, (left, right) in zip(gaps, bounds, strict=True):
        assert 0 <= left <= fade
        assert 0 <= right <= fade
        assert gap.start - left >= 0
        assert gap.stop + right <= frames
        taken[gap.start - left : gap.stop + right] += 1
    assert taken.max() == 1
    # As long as they may be: where there is room for both, both get all of it.
    for index in range(len(gaps) - 1):
        between = gaps[index + 1].start - gaps[index].stop
        assert bounds[index][1] == bounds[index + 1][0] == min(fade, between // 2)
    assert bounds[0][0] == min(fade, gaps[0].start)
    assert bounds[-1][1] == min(fade, after)


def test_crossfades_of_gaps_in_disorder_are_a_defect() -> None:
    assert crossfade_bounds([], 10, 5) == []
    for gaps in ([Gap(5, 8), Gap(1, 2)], [Gap(1, 5), Gap(4, 8)], [Gap(5, 11)]):
        with pytest.raises(ValueError, match="sorted"):
            crossfade_bounds(gaps, 10, 5)
