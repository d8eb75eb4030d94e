"""The Python API: names that come when they are asked for."""

import importlib.metadata
import subprocess
import sys

import pytest

import audiomask


def test_import_is_light():
    code = "import sys, audiomask; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", audiomask.__all__)
def test_every_name_is_there(name):
    assert getattr(audiomask, name) is not None
    assert name in dir(audiomask)


def test_unknown_name():
    with pytest.raises(AttributeError, match="nonsense"):
        audiomask.nonsense  # noqa: B018


def test_version_is_the_installed_one():
    assert audiomask.__version__ == importlib.metadata.version("audiomask")
