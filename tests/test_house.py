"""The files beside the package say what the package says."""

import re
import tomllib
from pathlib import Path

import yaml

import audiomask

ROOT = Path(__file__).parents[1]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == audiomask.__version__
    assert citation["license"] == "MIT"


def test_the_image_has_a_python_that_is_allowed():
    image = (ROOT / "Dockerfile").read_text()
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    (python,) = re.findall(r"^FROM python:3\.(\d+)", image, re.MULTILINE)
    low, high = re.findall(r"3\.(\d+)", required)
    assert int(low) <= int(python) < int(high)
    assert "-c /src/constraints.txt" in image


def test_the_commands_for_contributors_are_those_of_ci():
    told = (ROOT / "CONTRIBUTING.md").read_text()
    run = (ROOT / ".ci" / "run").read_text()
    for command in (
        "ruff check .",
        "ruff format --check .",
        "mypy --strict audiomask",
        "lint-imports",
    ):
        assert f".venv/bin/{command}" in told
        assert f".venv/bin/{command}" in run
    (packages,) = re.findall(r"^for package in (.+); do$", run, re.MULTILINE)
    assert f"`{packages}`" in told
    assert f"apt install {packages}`" in (ROOT / "README.md").read_text()


def test_every_card_has_the_header_of_model_hubs():
    cards = sorted((ROOT / "models").glob("*/README.md"))
    assert len(cards) >= 3
    for card in cards:
        _, header, text = card.read_text().split("---\n", 2)
        told = yaml.safe_load(header)
        assert told["license"] == "mit"
        assert told["library_name"] == "audiomask"
        assert told["pipeline_tag"]
        assert text.strip().startswith("# ")
