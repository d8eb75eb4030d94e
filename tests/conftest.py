"""What all tests share: quiet, steady property tests, optional peers, and tiny checkpoints."""

import importlib.util
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# No deadline: a machine that trains or renders meanwhile is slow, not wrong.
settings.register_profile("audiomask", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("audiomask")


# A shell lets what it starts in the background ignore Ctrl-C and Ctrl-\; so would every command
# under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGQUIT"):
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def strange() -> ModuleType:
    """``tests/strange.py``, which makes files of the kinds that strangers have."""
    spec = importlib.util.spec_from_file_location("strange", Path(__file__).with_name("strange.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def peer() -> Callable[[str], str]:
    """``peer("ffmpeg")`` is the path of a program, or the test is skipped for want of it."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            pytest.skip(f"{program} is not installed")
        return path

    return find


@pytest.fixture
def limited() -> Callable[[int | None], AbstractContextManager[None]]:
    """``with limited(1_000):`` no file of this process becomes longer; None for no limit.

    Not for long: pytest's own log is limited too.
    """
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(size: int | None) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        if size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints, ``vqvae`` and ``mlm``, that know nothing and run fast.

    Two levels of 32 codes, 86 frames a second, stems guitar and bass, a window of 48 frames.
    """
    import torch

    from audiomask.checkpoint import save_checkpoint
    from audiomask.mlm import build_mlm
    from audiomask.vqvae import build_vqvae

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    size = {"encoder_dim": 16, "encoder_blocks": 1, "decoder_dim": 16, "decoder_blocks": 1}
    codes = {"levels": 2, "codebook_size": 32, "code_dim": 4}
    vqvae = build_vqvae("default", size | codes)
    weights = vqvae.state_dict()
    fingerprint = save_checkpoint(
        folder / "vqvae", "vqvae", "default", asdict(vqvae.config), weights
    )
    size = {"dim": 16, "heads": 2, "layers": 1, "window": 48, "bands": 16, "mask_channels": (4, 6)}
    same = {"hop_length": 512, "sample_rate": 44100, "stems": ("guitar", "bass")}
    mlm = build_mlm("default", codes | size | same, vqvae.codebooks())
    notes = {"vqvae": fingerprint}
    save_checkpoint(folder / "mlm", "mlm", "default", asdict(mlm.config), mlm.state_dict(), notes)
    return folder


@pytest.fixture
def probe(peer: Callable[[str], str]) -> Callable[[Path], dict[str, Any]]:
    """``probe(path)``: tags by their names in capitals, pictures and layout, as ffprobe sees it."""
    program = peer("ffprobe")

    def ask(path: Path) -> dict[str, Any]:
        words = [program, "-v", "error", "-of", "json", "-show_format", "-show_streams", str(path)]
        found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        tags = found["format"].get("tags", {})
        for stream in found["streams"]:
            if stream["codec_type"] == "audio":
                tags |= stream.get("tags", {})
                layout = stream.get("channel_layout")
        pictures = [s["codec_name"] for s in found["streams"] if s["codec_type"] == "video"]
        upper = {key.upper(): value for key, value in tags.items()}
        return {"tags": upper, "pictures": pictures, "layout": layout}

    return ask
