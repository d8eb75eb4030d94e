"""A step of the VQ-VAE: crops of mixtures and stems, and a checkpoint that loads."""

from pathlib import Path

import pytest
import torch
from signals import tone

from audiomask.checkpoint import load_checkpoint, load_weights
from audiomask.data.excerpt import Excerpt
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae
from audiomask.training.tasks.vqvae import Crops, VQVAETask

#: a tiny model of each preset
SETTINGS = {
    "default": {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1,
                "levels": 2, "codebook_size": 8, "code_dim": 4},
    "paper": {"blocks": 3, "channels": 4, "codebook_size": 8, "code_dim": 4},
}  # fmt: skip


def songs(index: int = 0, separated: bool = True, number: int = 1) -> Excerpt:
    """Excerpts whose mixture is 0.6 and whose two sounding stems are 0.4 and 0.2."""
    place = tone(1 / 100, 5_000, rate=1)
    stems = torch.tensor([0.4, 0.0, 0.2])[:, None, None] * place
    if index % 2:  # a stem of another shape, to tell it apart whatever its gain
        stems[2] = 0.2 * tone(1 / 50, 5_000, rate=1)
    stems = stems.expand(number, -1, -1, -1)
    return Excerpt(stems.sum(dim=1), stems, torch.full((number,), separated))


def cut(work: Crops, excerpts: Excerpt, first: int = 0) -> torch.Tensor:
    """Crops [B, N, T]."""
    sampled = [work.sample(first + index) for index in range(len(excerpts.mixture))]
    return work(excerpts, torch.stack(sampled))


def kind(crop: torch.Tensor) -> str:
    """Which of the sounds a crop of an odd excerpt is, by its two partials."""
    spectrum = torch.fft.rfft(crop).abs()
    first, second = spectrum[10] > 1, spectrum[20] > 1
    return {(True, True): "mixture", (True, False): "low", (False, True): "high"}[
        (bool(first), bool(second))
    ]


def test_every_other_crop_is_a_stem_alone() -> None:
    found = cut(Crops(1_000, 6, 0), songs(1, number=12))
    assert found.shape == (12, 6, 1_000)
    for crops in found:
        assert [kind(crop) for crop in crops[::2]] == ["mixture"] * 3
        assert "mixture" not in [kind(crop) for crop in crops[1::2]]
    stems = {kind(crop) for crops in found for crop in crops[1::2]}
    assert stems == {"low", "high"}  # and never the silent one


def test_unknown_stems_are_not_cut() -> None:
    crops = cut(Crops(1_000, 6, 0), songs(1, separated=False))[0]
    assert [kind(crop) for crop in crops] == ["mixture"] * 6


def test_a_batch_is_cut_as_its_excerpts_are() -> None:
    odd, even, unknown = songs(1), songs(0), songs(1, separated=False)
    batch = Excerpt(*map(torch.cat, zip(odd, even, unknown, strict=True)))
    work = Crops(1_000, 4, 3)
    together = cut(work, batch)
    for index, one in enumerate((odd, even, unknown)):
        assert torch.equal(cut(work, one, index)[0], together[index])


def test_crops_are_cut_everywhere_but_not_beyond() -> None:
    ramp = torch.linspace(0.1, 0.5, 5_000)[None, None]
    excerpts = Excerpt(
        ramp.expand(200, -1, -1), torch.zeros(200, 3, 1, 5_000), torch.zeros(200) > 0
    )
    crops = cut(Crops(1_000, 2, 0), excerpts).flatten(0, 1)
    step = (ramp[0, 0, 1] - ramp[0, 0, 0]) / (crops.diff(dim=1).mean(dim=1))
    starts = (crops[:, 0] * step - 0.1) / 0.4 * 4_999
    assert float(starts.min()) < 100
    assert 3_900 < float(starts.max()) < 4_001
    # an excerpt shorter than a crop is its own crop
    assert cut(Crops(6_000, 2, 0), excerpts).shape == (200, 2, 5_000)


def test_crops_are_of_all_levels_and_do_not_clip() -> None:
    found = cut(Crops(1_000, 6, 0), songs(number=30)).flatten(0, 1)
    assert float(found.abs().max()) <= 0.991
    decibels = 10 * found.square().mean(dim=1).log10()
    assert float(decibels.min()) > -35.1
    assert float(decibels.max()) < -13.9
    assert float(decibels.min()) < -33
    assert float(decibels.max()) > -16


def test_silence_is_cut_as_silence() -> None:
    nothing = Excerpt(torch.zeros(1, 1, 5_000), torch.zeros(1, 3, 1, 5_000), torch.tensor([True]))
    assert not cut(Crops(1_000, 6, 0), nothing).any()


def test_crops_are_their_seed_and_index() -> None:
    work = Crops(1_000, 6, 5)
    assert torch.equal(cut(work, songs(), 3), cut(Crops(1_000, 6, 5), songs(), 3))
    assert not torch.equal(cut(work, songs(), 3), cut(work, songs(), 4))
    assert not torch.equal(cut(work, songs(), 3), cut(Crops(1_000, 6, 6), songs(), 3))


@pytest.fixture(params=["default", "paper"])
def task(request: pytest.FixtureRequest) -> VQVAETask:
    model: AnyVQVAE = build_vqvae(request.param, SETTINGS[request.param])
    return VQVAETask(model, request.param, {"data": ["bank"]})


def test_a_step(task: VQVAETask) -> None:
    batch = 0.1 * torch.randn(2, 3, 8_192)
    loss, numbers = task.loss(batch)
    torch.autograd.backward(loss)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in task.model.parameters())
    assert "commitment" in numbers
    assert "perplexity_1" in numbers
    assert all(value.dim() == 0 and not value.requires_grad for value in numbers.values())
    assert len([n for n in numbers if n.startswith("perplexity")]) == task.model.config.levels


def test_the_loss_falls_on_a_tiny_set(task: VQVAETask) -> None:
    batch = 0.3 * tone([220, 330, 440], 4_096)[None]
    task.model.train()
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=2e-3)
    losses = []
    for _ in range(80):
        loss, _ = task.loss(batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_checkpoint_makes_the_same_model(task: VQVAETask, tmp_path: Path) -> None:
    task.loss(0.1 * torch.randn(2, 3, 8_192))
    task.save(tmp_path, task.model.state_dict(), {"step": 4})
    found = load_checkpoint(tmp_path, "vqvae")
    assert found.notes == {"data": ["bank"], "step": 4}
    again = build_vqvae(found.preset, found.config)
    load_weights(again, found)
    assert again.config == task.model.config
    audio = 0.1 * torch.randn(1, 4_096)
    codes = task.model.eval().encode(audio)
    assert (again.eval().encode(audio) == codes).float().mean() > 0.9  # weights are halved
