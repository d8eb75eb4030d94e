from __future__ import annotations

import re
import subprocess
import sys

import pytest

from audiomask.errors import DependencyError
from audiomask.runtime.dependencies import (
    install_command,
    optional,
    requirements_of,
    torchaudio_functional,
)


def test_what_is_installed_is_given() -> None:
    assert optional("json", "shards", "this").loads("1") == 1
    assert hasattr(torchaudio_functional(), "lfilter")


def test_an_extra_is_answered_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "braceexpand", None)
    with pytest.raises(DependencyError) as caught:
        optional("braceexpand", "shards", "streaming shards")
    message = str(caught.value)
    assert message.startswith("streaming shards needs braceexpand, which is not installed: pip ")
    assert "webdataset" in message
    assert "\n" not in message


def test_a_command_has_every_requirement_and_pip_reads_it() -> None:
    from packaging.requirements import Requirement

    for extra in ("shards", "tensorboard", "opinion", "test", "dev"):
        found = [Requirement(text) for text in requirements_of(extra)]
        assert found
        assert all(requirement.specifier for requirement in found), "bounds are told as well"
        assert install_command(extra).startswith("pip install ")
    names = {Requirement(text).name for text in requirements_of("dev")}
    assert {"ruff", "pytest", "webdataset", "tensorboard"} <= names, "included extras count"


def test_an_unknown_extra_brings_nothing() -> None:
    assert requirements_of("nothing") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "failure", ["OSError('undefined symbol: x')", "ImportError('no')", "RuntimeError('CUDA')"]
)
def test_a_torchaudio_that_does_not_load_is_one_line_with_a_pair_that_does(failure: str) -> None:
    code = f"""
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio":
            raise {failure}
sys.meta_path.insert(0, Broken())
from audiomask.cli import main
main(["evaluate", "vqvae", "--data", "examples", "--split", "all", "--limit", "1"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert re.search(r"torchaudio \S+ cannot be loaded beside torch \S+;", lines[-1])
    assert "pip install torch==" in lines[-1]
    assert "Traceback" not in done.stderr
