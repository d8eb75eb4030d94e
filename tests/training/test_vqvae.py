"""A step of the VQ-VAE: crops of mixtures and stems, and a checkpoint that loads."""

import math
from pathlib import Path

import pytest
import torch

from audiomask.checkpoint import load_checkpoint, load_weights
from audiomask.training.data.bands import BandDataset
from audiomask.training.data.excerpt import Excerpt
from audiomask.training.data.notes import NoteBank
from audiomask.training.loop import Steps
from audiomask.training.vqvae import Crops, VQVAETask
from audiomask.vqvae import AnyVQVAE, build_vqvae

#: a tiny model of each preset
SETTINGS = {
    "default": {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1,
                "levels": 2, "codebook_size": 8, "code_dim": 4},
    "paper": {"blocks": 3, "channels": 4, "codebook_size": 8, "code_dim": 4},
}  # fmt: skip


class Constants:
    """Excerpts whose mixture is 0.6 and whose two sounding stems are 0.4 and 0.2."""

    def __init__(self, separated: bool = True) -> None:
        self.separated = torch.tensor(separated)

    def __getitem__(self, index: int) -> Excerpt:
        place = torch.sin(2 * math.pi * torch.arange(5_000) / 100)
        stems = torch.tensor([0.4, 0.0, 0.2])[:, None] * place
        if index % 2:  # a stem of another shape, to tell it apart whatever its gain
            stems[2] = 0.2 * torch.sin(2 * math.pi * torch.arange(5_000) / 50)
        return Excerpt(stems.sum(dim=0), stems, self.separated)


def kind(crop: torch.Tensor) -> str:
    """Which of the sounds a crop of an odd excerpt is, by its two partials."""
    spectrum = torch.fft.rfft(crop).abs()
    first, second = spectrum[10] > 1, spectrum[20] > 1
    return {(True, True): "mixture", (True, False): "low", (False, True): "high"}[
        (bool(first), bool(second))
    ]


def test_every_other_crop_is_a_stem_alone() -> None:
    found = [Crops(Constants(), 1_000, 6, seed)[1] for seed in range(12)]
    assert {tuple(crops.shape) for crops in found} == {(6, 1_000)}
    for crops in found:
        assert [kind(crop) for crop in crops[::2]] == ["mixture"] * 3
        assert "mixture" not in [kind(crop) for crop in crops[1::2]]
    stems = {kind(crop) for crops in found for crop in crops[1::2]}
    assert stems == {"low", "high"}  # and never the silent one


def test_unknown_stems_are_not_cut() -> None:
    crops = Crops(Constants(separated=False), 1_000, 6, 0)[1]  # type: ignore[arg-type]
    assert [kind(crop) for crop in crops] == ["mixture"] * 6


def test_crops_are_of_all_levels_and_do_not_clip() -> None:
    found = torch.cat([Crops(Constants(), 1_000, 6, seed)[0] for seed in range(30)])
    assert float(found.abs().max()) <= 0.991
    decibels = 10 * found.square().mean(dim=1).log10()
    assert float(decibels.min()) > -35.1
    assert float(decibels.max()) < -13.9
    assert float(decibels.min()) < -33
    assert float(decibels.max()) > -16


def test_crops_are_their_seed_and_index_in_any_worker(bank: Path) -> None:
    excerpts = BandDataset(NoteBank([bank]), ("guitar", "piano", "bass", "drums"), 22_050, 0)
    data = Crops(excerpts, 4_096, 2, 5)
    alone = [data[index] for index in range(3, 7)]
    loader = torch.utils.data.DataLoader(Steps(data, 3, 7), batch_size=None, num_workers=2)
    helped = list(loader)
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))
    assert not torch.equal(alone[0], Crops(excerpts, 4_096, 2, 6)[3])


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
    assert all(isinstance(value, float) for value in numbers.values())
    assert len([n for n in numbers if n.startswith("perplexity")]) == task.model.config.levels


def test_the_loss_falls_on_a_tiny_set(task: VQVAETask) -> None:
    time = torch.arange(4_096) / 44_100
    pitch = torch.tensor([220.0, 330.0, 440.0])[:, None]
    batch = 0.3 * torch.sin(2 * math.pi * pitch * time)[None]
    task.model.train()
    optimiser = torch.optim.AdamW(task.model.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss, _ = task.loss(batch)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
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
