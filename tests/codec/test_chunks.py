import pytest
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.codec import chunks as codec
from audiomask.codec.chunks import DecodedSource, LeftRight, MidSide, encode
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae
from audiomask.runtime.memory import AdaptiveBatches

CPU = torch.device("cpu")


@pytest.mark.slow
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
        decoded = model.decode(whole.long(), share_phases=True)
    sound = DecodedSource(model, whole)
    parts = [sound.read(a, a + 1000) for a in range(0, sound.frames, 1000)]
    joined = torch.cat(parts, dim=1)[:, : sound.frames]
    assert torch.allclose(joined, decoded, atol=1e-5)


def test_many_channels_make_short_chunks(vqvae: AnyVQVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    assert codec.chunk_of(1) == codec.chunk_of(2) == codec.CHUNK
    assert codec.chunk_of(1024) * 1024 == codec.CHUNK * 2
    assert codec.chunk_of(1 << 30) == 1
    source = MemorySource(0.1 * torch.randn(6, 20 * vqvae.config.hop_length), 44100)
    whole = encode(vqvae, source, CPU)
    monkeypatch.setattr(codec, "CHUNK", 12 * vqvae.config.hop_length)
    assert torch.equal(encode(vqvae, source, CPU), whole)


def test_decoded_sound_is_silent_outside(vqvae: AnyVQVAE) -> None:
    sound = DecodedSource(vqvae, torch.zeros(1, 2, 4, dtype=torch.int16))
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


def test_with_little_memory_fewer_frames_are_coded_at_once(
    vqvae: AnyVQVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    source = MemorySource(0.1 * torch.randn(2, 300 * 512), 44100)
    whole = encode(vqvae, source, CPU)
    sound = DecodedSource(vqvae, whole).read(0, 300 * 512)
    most = 149  # and so much context
    asked: list[int] = []
    real = {"encode": vqvae.encode, "decode": vqvae.decode}

    def room(frames: int) -> None:
        asked.append(frames)
        if frames > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def encoded(samples: Tensor) -> Tensor:
        room(samples.shape[-1] // 512)
        return real["encode"](samples)

    def decoded(codes: Tensor, start: int, stop: int, share_phases: bool) -> Tensor:
        room(stop - start)
        return real["decode"](codes, start, stop, share_phases)

    monkeypatch.setattr(vqvae, "encode", encoded)
    monkeypatch.setattr(vqvae, "decode", decoded)
    done: list[float] = []
    again = encode(vqvae, source, CPU, done.append)
    assert (again == whole).float().mean() > 0.999
    assert sum(done) == pytest.approx(300 * 512 / 44100)
    assert sum(frames > most for frames in asked) == 2  # all of it, and half of it
    batches = AdaptiveBatches(CPU)
    for _ in range(2):
        asked.clear()
        less = DecodedSource(vqvae, whole, batches=batches).read(0, 300 * 512)
        assert torch.allclose(less, sound, atol=1e-4)
    assert max(asked) == 75
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        encode(vqvae, source, CPU)


def test_mid_and_side_there_and_back() -> None:
    audio = torch.randn(2, 1000)
    middle = MidSide(MemorySource(audio, 44100))
    assert (middle.channels, middle.frames, middle.sample_rate) == (2, 1000, 44100)
    left, right = audio
    assert torch.allclose(middle.read(0, 1000)[0], (left + right) / 2)
    assert torch.allclose(middle.read(0, 1000)[1], (left - right) / 2)
    assert torch.allclose(LeftRight(middle).read(10, 900), audio[:, 10:900], atol=1e-6)


def test_channels_share_their_phases(vqvae: AnyVQVAE) -> None:
    codes = torch.randint(8, (1, vqvae.config.levels, 40)).expand(2, -1, -1)
    other = torch.randint(8, (1, vqvae.config.levels, 40))
    twice = DecodedSource(vqvae, codes).read(0, 40 * 512)
    assert torch.allclose(twice[0], twice[1], atol=1e-6)
    # a channel's sound depends on the other's only where they share phases
    pairs = [torch.cat([codes[:1], extra]) for extra in (codes[1:], other)]
    for share_phases in (True, False):
        first, second = (
            DecodedSource(vqvae, pair, share_phases).read(0, 40 * 512)[0] for pair in pairs
        )
        assert torch.allclose(first, second, atol=1e-5) != share_phases
