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
import json, random, sys
from pathlib import Path
from audiomask.cli.line_file import LineFile
file = LineFile(Path("told"), lambda line: json.loads(line)["key"], "these")
name, rounds = sys.argv[1], int(sys.argv[2])
for number in range(rounds):
    for key in (f"{name}{number}", "all"):  # what everybody replaces, and rewrites the file for
        file.replace(key, [json.dumps({"key": key, "by": name, "fill": "x" * 3000})] * 2)
    if number % 7 == 0:
        file.sort(len)
"""


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


def key_of(line: bytes) -> str | None:
    return line[:1].decode() if line[1:2] == b":" else None


def test_a_torn_end_goes_and_others_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "told"
    path.write_text("a:1\nb:1\na:2\nb:to")
    file = LineFile(path, key_of, "such a file")
    file.replace("c", ["c:1"])
    assert path.read_text() == "a:1\nb:1\na:2\nc:1\n"
    with path.open("a") as other:
        other.write("d:1\n")
    file.replace("a", ["a:3", "a:4"])
    assert path.read_text() == "b:1\nc:1\nd:1\na:3\na:4\n"
    file.replace("d", [])
    file.keep(lambda line, key: key != "c")
    file.sort(lambda key: "ab".index(key))
    assert path.read_text() == "a:3\na:4\nb:1\n"
    os.replace(path, tmp_path / "moved")
    file.replace("e", ["e:1"])
    assert path.read_text() == "e:1\n"
    file.clear()
    file.replace("e", ["e:2"])
    file.close()
    assert path.read_text() == "e:2\n"


def test_what_is_none_of_ours_is_left(tmp_path: Path) -> None:
    path = tmp_path / "told"
    path.write_text("a:1\nmine\n")
    with pytest.raises(UsageError, match="line 2 is none of such a file"):
        LineFile(path, key_of, "such a file").replace("b", ["b:1"])
    assert path.read_text() == "a:1\nmine\n"
