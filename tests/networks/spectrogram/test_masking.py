"""Masking: how much, in what lengths, and what the model gets instead."""

from itertools import groupby

import pytest
import torch
from tiny_spectrogram import SMALL
from torch import Tensor

from audiomask.networks.spectrogram import PRESETS, SpectrogramConfig
from audiomask.networks.spectrogram.masking import (
    BLANKED,
    REPLACED,
    UNCHANGED,
    VISIBLE,
    mask,
    sample_fates,
)


def config_of(preset: str = "default", **settings: object) -> SpectrogramConfig:
    return SpectrogramConfig(**(PRESETS[preset] | settings))  # type: ignore[arg-type]


def fates_of(config: SpectrogramConfig, number: int = 200) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [sample_fates(config.window, config, draw) for _ in range(number)]


def test_as_much_is_hidden_as_is_asked_for_in_the_lengths_asked_for() -> None:
    config = config_of()
    found = fates_of(config)
    shares = torch.stack(found).gt(VISIBLE).float().mean(dim=1)
    assert float(shares.min()) >= 0.2 - 1e-6
    assert float(shares.max()) < 0.2 + 32 / 288
    runs = [len(list(g)) for f in found for hidden, g in groupby((f > 0).tolist()) if hidden]
    inner = [run for run in runs if 4 <= run <= 32]
    assert len(inner) > 0.8 * len(runs)  # others are cut or joined by further groups
    # short ones are as frequent as long ones: half are below the geometric mean
    assert 0.3 < sum(run < 11 for run in inner) / len(inner) < 0.6


def test_most_groups_are_blanked_and_some_replaced_or_left() -> None:
    every = torch.cat(fates_of(config_of(), 600))
    hidden = every[every > 0]
    for fate, share in ((BLANKED, 0.8), (REPLACED, 0.1), (UNCHANGED, 0.1)):
        assert float((hidden == fate).float().mean()) == pytest.approx(share, abs=0.03)


def test_in_mockingjay_a_window_is_treated_alike() -> None:
    kinds = [set(f[f > 0].tolist()) for f in fates_of(config_of("mockingjay"))]
    assert all(len(kind) == 1 for kind in kinds)
    assert {min(kind) for kind in kinds} == {BLANKED, REPLACED, UNCHANGED}


each = torch.tensor([VISIBLE, BLANKED, REPLACED, UNCHANGED] * 12)


@pytest.mark.parametrize("preset", ["default", "mockingjay"])
def test_each_frame_becomes_what_its_fate_says(preset: str) -> None:
    config = SpectrogramConfig(**(PRESETS[preset] | SMALL))
    features = torch.rand(48, 16)
    inputs, hidden = mask(features, each, config, torch.Generator().manual_seed(0))
    assert torch.equal(hidden, (each > 0)[:, None].expand(48, 16))
    for fate in (VISIBLE, UNCHANGED):
        assert torch.equal(inputs[each == fate], features[each == fate])
    value = 1.0 if preset == "default" else 0.0
    assert inputs[each == BLANKED].eq(value).all()
    replaced, original = inputs[each == REPLACED], features[each == REPLACED]
    assert not torch.equal(replaced, original)
    if preset == "default":
        # so that a share of them can still be the original
        assert (replaced >= original).all()
    else:
        rows = {tuple(row.tolist()) for row in features}
        assert all(tuple(row.tolist()) in rows for row in replaced)


def test_tera_hides_bands_and_adds_noise() -> None:
    config = SpectrogramConfig(**(PRESETS["tera"] | SMALL | {"bands": 40}))
    features, still = torch.rand(48, 40), torch.zeros(48, dtype=torch.int64)
    draw = torch.Generator().manual_seed(0)
    widths, noisy = [], 0
    for _ in range(300):
        inputs, hidden = mask(features, still, config, draw)
        block = hidden.all(dim=0)
        assert torch.equal(hidden, block.expand(48, 40))
        assert not inputs[:, block].any()
        widths.append(int(block.sum()))
        kept = inputs[:, ~block] - features[:, ~block]
        noisy += bool(kept.any())
        assert float(inputs.min()) >= 0
        assert float(inputs.max()) <= 1
    assert (min(widths), max(widths)) == (0, 8)
    assert noisy / 300 == pytest.approx(0.15, abs=0.06)


def test_masks_are_their_generators() -> None:
    config, features = SpectrogramConfig(**SMALL), torch.rand(48, 16)

    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        fates = sample_fates(48, config, generator)
        return mask(features, fates, config, generator).inputs

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))
