"""docs/architecture.md draws the rooms that the import rules have, and no others."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

from module_names import offenders

ROOT = Path(__file__).parents[1]


def rooms() -> set[str]:
    """The rooms of the import rules, which are exhaustive."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (c["layers"] for c in config["tool"]["importlinter"]["contracts"] if "layers" in c)
    names = {name.strip() for layer in layers for name in layer.split("|")}
    return names - {"__main__"}


def drawing() -> str:
    text = (ROOT / "docs" / "architecture.md").read_text()
    (found,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    return str(found)


def test_the_drawing_has_every_room_and_no_other() -> None:
    assert set(re.findall(r"^    (\w+)\[", drawing(), re.MULTILINE)) == rooms()


def test_no_arrow_points_upwards() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (c["layers"] for c in config["tool"]["importlinter"]["contracts"] if "layers" in c)
    depth = {name.strip(): n for n, layer in enumerate(layers) for name in layer.split("|")}
    chains = [line for line in drawing().splitlines() if "-->" in line]
    assert chains
    for line in chains:
        groups = [part.replace("&", " ").split() for part in line.split("-->")]
        for above, below in pairwise(groups):
            assert all(depth[a] < depth[b] for a in above for b in below), line


def test_every_room_that_is_named_is_there() -> None:
    package = ROOT / "audiomask"
    for room in rooms():
        assert (package / room).is_dir() or (package / f"{room}.py").is_file(), room


def test_a_name_is_private_exactly_where_no_other_file_uses_it() -> None:
    wrong = [f"{module}.{name}: {better}" for module, names in offenders().items()
             for name, better in names.items()]  # fmt: skip
    assert not wrong, "\n".join(wrong)
