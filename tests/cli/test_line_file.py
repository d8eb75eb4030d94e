"""Lines that several processes add to: none torn, none lost, none twice."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from audiomask.cli.line_file import LineFile
from audiomask.errors import UsageError

WRITER = """
import json, sys
from pathlib import Path
from audiomask.cli.line_file import LineFile
file = LineFile(Path("told"))
name, rounds = sys.argv[1], int(sys.argv[2])
def without_all(lines):
    return [line for line in lines if json.loads(line)["key"] != "all"]
for number in range(rounds):
    file.append([json.dumps({"key": f"{name}{number}", "fill": "x" * 3000})] * 2)
    if number % 3 == 0:  # what everybody replaces
        line = json.dumps({"key": "all"}).encode()
        file.rewrite(lambda lines: [*without_all(lines), line, line])
    if number % 7 == 0:
        file.rewrite(lambda lines: sorted(lines, key=len))
"""


@pytest.mark.slow
def test_four_processes_at_once(tmp_path: Path) -> None:
    rounds = 60
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, name, str(rounds)], cwd=tmp_path)
        for name in "abcd"
    ]
    assert [writer.wait(timeout=240) for writer in writers] == [0] * 4
    lines = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    keys = Counter(line["key"] for line in lines)
    assert keys == Counter(
        {**{f"{n}{number}": 2 for n in "abcd" for number in range(rounds)}, "all": 2}
    )
    assert [path.name for path in tmp_path.iterdir()] == ["told"]


def test_a_torn_end_goes_and_others_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "told"
    path.write_text("a1\nb1\na2\nb to")
    file = LineFile(path)
    file.append(["c1"])
    assert path.read_text() == "a1\nb1\na2\nc1\n"
    with path.open("a") as other:
        other.write("d1\n")
    file.append(["a3", "a4"])
    file.append([])
    assert path.read_text() == "a1\nb1\na2\nc1\nd1\na3\na4\n"
    with path.open("a") as other:
        other.write("to")
    file.rewrite(lambda lines: lines)
    assert path.read_text() == "a1\nb1\na2\nc1\nd1\na3\na4\n"
    file.rewrite(lambda lines: sorted(lines)[:3])
    assert path.read_text() == "a1\na2\na3\n"
    os.replace(path, tmp_path / "moved")
    file.append(["e1"])
    assert path.read_text() == "e1\n"
    file.clear()
    file.append(["e2"])
    assert path.read_text() == "e2\n"


def test_what_is_refused_is_left(tmp_path: Path) -> None:
    path = tmp_path / "told"
    path.write_text("a1\nmine\n")

    def refuse(lines: list[bytes]) -> list[bytes]:
        raise UsageError("mine is none of ours")

    with pytest.raises(UsageError, match="mine"):
        LineFile(path).rewrite(refuse)
    assert path.read_text() == "a1\nmine\n"
