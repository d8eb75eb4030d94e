"""``--ray`` on a real cluster of two nodes on this machine."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow

#: of noise, whose gaps take a moment: the node dies before all is done
RATE = 44100


@pytest.fixture
def songs(tmp_path: Path) -> Callable[[int], list[str]]:
    """``songs(40)``: the names of short recordings in the folder ``in``, with a gap to fill."""

    def make(count: int) -> list[str]:
        (tmp_path / "in").mkdir()
        names = [f"{number:02}" for number in range(count)]
        for number, name in enumerate(names):
            noise = np.random.default_rng(number).uniform(-0.2, 0.2, RATE)
            soundfile.write(tmp_path / "in" / f"{name}.wav", noise, RATE)
        return names

    return make


@pytest.fixture
def begun(script: str, tmp_path: Path):
    """``begun(cluster)``: infill of the folder ``in`` there; killed where it hangs."""
    running = []

    def begin(cluster) -> subprocess.Popen[str]:
        words = [script, "infill", "in", "-o", "out", "--gap", "0.4:0.44", "--method", "ar", "-v"]
        process = subprocess.Popen(
            [*words, "--report", "told.jsonl", "--ray", cluster.address],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        timer = threading.Timer(600, process.kill)
        timer.start()
        running.append((process, timer))
        return process

    yield begin
    for process, timer in running:
        timer.cancel()
        process.kill()
        process.communicate()


def test_a_killed_node_has_its_files_done_elsewhere(songs, begun, ray_nodes, tmp_path):
    names = songs(40)
    cluster = ray_nodes(2)
    process = begun(cluster)
    said, done, killed = "", 0, ""
    for line in process.stderr:
        said += line
        done += " -> " in line
        handed = re.search(r"handed to \S+ \((\w+)\)", line)
        if handed is not None and done >= 5 and not killed:
            killed = handed[1]
            (node,) = [n for n in cluster.worker_nodes if n.node_id.startswith(killed)]
            cluster.remove_node(node, allow_graceful=False)
    assert process.wait(timeout=60) == 0, said
    assert process.stdout.read() == ""
    assert killed
    assert f"({killed}) died; another does it" in said
    assert f"({killed}): the node is gone" in said
    assert "40 of 40 files done" in said
    assert sorted(os.listdir(tmp_path / "out")) == [f"{name}.infilled.wav" for name in names]
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [line["file"] for line in told] == [f"in/{name}.wav" for name in names]
    for name in names:
        filled, rate = soundfile.read(tmp_path / "out" / f"{name}.infilled.wav")
        assert (len(filled), rate) == (RATE, RATE)


def test_a_worker_that_crashes_begins_again_and_ctrl_c_ends_it(songs, begun, ray_nodes, tmp_path):
    """There is one worker: what is done after the crash, it has done."""
    songs(40)
    process = begun(ray_nodes(1))
    said, crashed, sent = "", False, False
    for line in process.stderr:
        said += line
        if " -> " not in line:
            continue
        if not crashed:
            for worker in workers_in(tmp_path):
                os.kill(worker, signal.SIGKILL)
                crashed = True
        elif not sent and "another does it" in said:
            process.send_signal(signal.SIGINT)
            sent = True
    assert process.wait(timeout=60) == 130, said
    assert sent, said
    assert "Traceback" not in said
    assert process.stdout.read() == ""
    made = os.listdir(tmp_path / "out")
    assert 2 <= len(made) < 40
    assert all(name.endswith(".infilled.wav") for name in made)


def workers_in(folder: Path) -> list[int]:
    """The processes of workers whose current folder it is."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            here = Path(os.readlink(place / "cwd")) == folder
            if here and b"ray::" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:  # another's, or ended
            continue
    return found
