import pytest
import torch

from audiomask.audio.source import MemorySource
from audiomask.inference import codec
from audiomask.inference.codec import DecodedSource, encode
from audiomask.vqvae import AnyVQVAE, build_vqvae

CPU = torch.device("cpu")


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_chunks_equal_one_pass(
    preset: str, vqvae: AnyVQVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = vqvae if preset == "default" else build_vqvae("paper", {"channels": 8}).eval()
    torch.manual_seed(3)
    hop = model.config.hop_length
    source = MemorySource(0.1 * torch.randn(2, 100 * hop + 3), 44100)
    whole = encode(model, source, CPU)
    assert whole.shape == (2, model.config.levels, 101)
    monkeypatch.setattr(codec, "CHUNK", 13 * hop)
    assert torch.equal(encode(model, source, CPU), whole)
    with torch.inference_mode():
        decoded = model.decode(whole.long())
    sound = DecodedSource(model, whole, CPU)
    parts = [sound.read(a, a + 1000) for a in range(0, sound.frames, 1000)]
    together = torch.cat(parts, dim=1)[:, : sound.frames]
    assert torch.allclose(together, decoded, atol=1e-5)


def test_decoded_sound_is_silent_outside(vqvae: AnyVQVAE) -> None:
    sound = DecodedSource(vqvae, torch.zeros(1, 2, 4, dtype=torch.int16), CPU)
    assert sound.frames == 4 * 512
    assert not sound.read(-100, 0).any()
    assert not sound.read(sound.frames, sound.frames + 50).any()
    across = sound.read(-10, 10)
    assert not across[:, :10].any()
    assert across[:, 10:].any()


def test_progress_adds_up_to_the_duration(vqvae: AnyVQVAE) -> None:
    done: list[float] = []
    encode(vqvae, MemorySource(torch.zeros(1, 48000), 48000), CPU, done.append)
    assert sum(done) == pytest.approx(1.0, abs=1e-3)
