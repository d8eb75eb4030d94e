"""Engine: several recordings at once are as each alone."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from signals import noise

from audiomask import Engine, InfillSettings
from audiomask.audio.source import MemorySource
from audiomask.checkpoint import Checkpoint
from audiomask.checkpoint import loader as module
from audiomask.errors import AudiomaskError, DeviceError, DeviceMemoryError
from audiomask.infill.gaps import Gap
from audiomask.networks.mlm import build_mlm
from models import save

KINDS = ("vqvae", "mlm", "masks")


def noise_source(samples: int, channels: int) -> MemorySource:
    return MemorySource(0.1 * noise(channels, samples, seed=samples), 44_100)


def test_a_recording_that_is_all_gap_is_refused(tiny: Path) -> None:
    with pytest.raises(AudiomaskError, match="whole recording"):
        list(Engine(tiny, "cpu").infill(noise_source(5000, 1), [Gap(0, 5000)]))


def test_threads_share_one_engine(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = module.load_checkpoint

    def slow(folder: Path, kind: str) -> Checkpoint:
        loaded.append(kind)
        time.sleep(0.05)
        return load(folder, kind)

    monkeypatch.setattr(module, "load_checkpoint", slow)
    engine = Engine(tiny, "cpu")
    models: list[object] = []
    start = threading.Barrier(6)

    def ask(name: str) -> None:
        start.wait(timeout=20)
        models.append(getattr(engine, name))

    threads = [threading.Thread(target=ask, args=(name,)) for name in KINDS * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(loaded) == sorted(KINDS)
    assert len(models) == 6
    assert len({id(model) for model in models}) == 3


WORDS = {
    DeviceMemoryError: "CUDA out of memory. Tried to allocate 2.00 GiB",
    DeviceError: "CUDA error: unspecified launch failure",
}


@pytest.mark.parametrize("told", WORDS)
@pytest.mark.parametrize(
    "use", ["tokenize", "detokenize", "infill", "separate by mask", "separate by wiener"]
)
def test_a_device_that_fails_is_named(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, use: str, told: type[AudiomaskError]
) -> None:
    engine = Engine(tiny, "cpu")
    source, gaps = noise_source(9000, 2), [Gap(4000, 6000)]
    tokens = engine.tokenize(source)

    def fail(*arguments: object, **options: object) -> torch.Tensor:
        raise RuntimeError(WORDS[told])

    for name in ("encode", "decode"):
        monkeypatch.setattr(engine.vqvae, name, fail)
    monkeypatch.setattr(engine.masks, "forward", fail)
    settings = InfillSettings("tokens")

    def made() -> Iterator[object]:
        if use == "tokenize":
            yield engine.tokenize(source)
        elif use == "detokenize":
            yield from engine.detokenize(tokens)
        elif use == "infill":
            yield from engine.infill(source, gaps, settings)
        else:
            yield from engine.separate(source, ["guitar"], method=use.split()[-1])

    with pytest.raises(told, match="cpu"):
        list(made())


def test_a_model_that_has_no_room_on_the_device(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = torch.nn.Module.to

    def fail(self: torch.nn.Module, *arguments: object, **options: object) -> torch.nn.Module:
        if isinstance(next(iter(arguments), None), torch.device):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return move(self, *arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch.nn.Module, "to", fail)
    engine = Engine(tiny, "cpu")
    for name in KINDS:
        with pytest.raises(DeviceMemoryError):
            getattr(engine, name)


@pytest.mark.slow
def test_masks_draft_for_a_language_model_that_reads_drafts(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def separated(folder: Path) -> torch.Tensor:
        engine = Engine(folder, "cpu")
        blocks = engine.separate(noise_source(30_000, 1), ["bass"], method="tokens")
        return torch.cat([block["bass"] for block in blocks], dim=1)

    for draft in (False, True):
        folder = tmp_path / f"{draft}"
        shutil.copytree(tiny, folder)
        if draft:
            config = Engine(tiny, "cpu").mlm.config
            torch.manual_seed(0)
            mlm = build_mlm("default", asdict(replace(config, draft=True)), torch.rand(2, 32, 4))
            fingerprint = Engine(tiny, "cpu").fingerprint_of("vqvae")
            shutil.rmtree(folder / "mlm")
            save(folder, "mlm", mlm, vqvae=fingerprint)
        assert separated(folder).shape == (1, 30_000)
        shutil.rmtree(folder / "masks")
        caplog.clear()
        assert separated(folder).isfinite().all()
        assert ("it goes without" in caplog.text) == draft


def test_loading_leaves_the_compiler_alone(tiny: Path) -> None:
    """Checking a checkpoint's shapes must not import what takes torch a second to import."""
    code = (
        "import sys; from pathlib import Path; from audiomask import Engine\n"
        f"engine = Engine(Path({str(tiny)!r}), 'cpu')\n"
        "for kind in engine.kinds: engine.load(kind)\n"
        "sys.exit(int('torch._dynamo' in sys.modules or 'sympy' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
