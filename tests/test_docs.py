"""The documentation: built without warnings, and true to what the package says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def messages() -> str:
    """All strings of the package, joined where the code splits them."""
    code = "\n".join(path.read_text() for path in sorted((ROOT / "audiomask").rglob("*.py")))
    return re.sub(r'"\s*f?"', "", code)


def test_every_error_of_the_page_is_one_that_is_said() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    quoted = re.findall(r'^### "(.+)"$', page, re.MULTILINE)
    assert len(quoted) > 15
    said = messages()
    for words in quoted:
        # a name in quotation marks, and what follows it, differ from case to case
        fixed = words.split(" '")[0]
        assert fixed in said, words


@pytest.mark.slow
def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-d",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "site" / "api" / "index.html").read_text()
    for name in ("separate", "infill", "tokenize", "detokenize", "Engine", "TokenDataset"):
        assert re.search(rf'id="audiomask\.[\w.]*\.?{name}"', api), name
