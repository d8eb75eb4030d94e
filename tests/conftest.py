"""What all tests share: quiet, steady property tests, optional peers, and tiny checkpoints."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# pytest runs two workers: each of them, and every command under test, computes on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: fixtures that several folders of tests share, in tests/making; what is there to be imported as
#: well: signals.py makes tones and noise, doubling.py a task to train, toy_songs.py songs to learn
pytest_plugins = ["sound", "datasets", "models", "browser", "ray_nodes", "s3_server"]

# No deadline: a machine that trains or renders meanwhile is slow, not wrong.
settings.register_profile("audiomask", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("audiomask")


# A shell lets what it starts in the background ignore Ctrl-C and Ctrl-\; so would every command
# under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGQUIT"):
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


#: files that take minutes: begun first, so that no worker is left alone with one at the end
#: (pyproject.toml keeps pytest-xdist from putting them into an order of its own)
LONGEST = (
    "test_readme.py",
    "test_processes.py",
    "test_base_install.py",
    "test_kill.py",
    "test_pipeline.py",
    "test_shared_work.py",
    "test_faults.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order is else as it was."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


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
