"""``--ray``: jobs are handed to workers, and to others where one dies."""

import logging
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from fake_ray import ActorUnavailableError, ActorUnschedulableError, FakeRay, RayActorError

from audiomask.cli import app, cluster, cluster_connection
from audiomask.cli.cluster_worker import FarMeter, Outbox, Worker
from audiomask.cli.gathering import Gatherer, receive, send_by
from audiomask.cli.workers import Stopped
from audiomask.errors import CheckpointError, ClusterError

CPU = {"CPU": 2.0}


@pytest.fixture
def ray(monkeypatch):
    """``ray({"a": {"CPU": 2}}, die)``: the cluster that commands find; see FakeRay."""
    monkeypatch.setattr(Worker, "_send_messages", lambda self, level: None)
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
    monkeypatch.setattr(cluster, "optional", lambda *names: strategies)

    def make(nodes, die=lambda node, method: None):
        made = FakeRay(nodes, die)
        monkeypatch.setattr(cluster, "connect", lambda address: made)
        return made

    return make


def test_files_are_done_by_workers_as_by_jobs(ray, invoke, folder, tmp_path, contents):
    folder("a", "b", "c")
    (tmp_path / "in/empty.wav").touch()
    made = ray({"one": CPU, "two": CPU})
    one = invoke("separate", "in", "-o", "x", "--report", "x.jsonl", "--ray")
    two = invoke("separate", "in", "-o", "y", "--report", "y.jsonl", "--jobs", 2)
    assert one.status == two.status == 1
    assert "--ray: 2 workers on 2 nodes" in one.err
    table = "1 of 4 files failed"
    assert one.err.partition(table)[2] == two.err.partition(table)[2] != ""
    assert contents(tmp_path / "x") == contents(tmp_path / "y")
    assert (tmp_path / "x.jsonl").read_text() == (tmp_path / "y.jsonl").read_text()
    assert made.left
    assert one.out == b""


def test_existing_outputs_are_skipped(ray, invoke, folder, tmp_path):
    folder("a", "b")
    ray({"one": CPU})
    (tmp_path / "in/a.tokens.safetensors").touch()
    done = invoke("tokenize", "in", "--ray", "--skip-existing")
    assert done.status == 0
    assert "in/a.wav: skipped, its outputs exist" in done.err
    assert "1 of 2 files done, 1 skipped" in done.err
    refused = invoke("tokenize", "in", "--ray")
    assert refused.status == 1
    assert "2 of 2 files failed" in refused.err


@pytest.mark.parametrize(
    ("nodes", "options", "asked"),
    [
        ({"a": {"CPU": 8.0}}, ["--jobs", 2], [(4, 0)] * 2),
        ({"a": {"CPU": 2.0}}, ["--jobs", 4], [(0.5, 0)] * 4),
        ({"a": {"CPU": 8.0, "GPU": 2.0}, "b": {"CPU": 4.0}}, [], [(4, 1)] * 2 + [(4, 0)]),
        ({"a": {"CPU": 8.0, "GPU": 2.0}}, ["--device", "cpu"], [(8, 0)]),
        ({"head": {}, "a": {"CPU": 1.0}}, [], [(1, 0)]),
    ],
)
def test_a_gpu_or_a_share_of_the_processors_each(ray, invoke, folder, nodes, options, asked):
    folder("a")
    made = ray(nodes)
    assert invoke("tokenize", "in", "--ray", *options).status == 0
    assert [(one["num_cpus"], one["num_gpus"]) for one in made.asked] == asked


def test_a_job_of_a_dead_worker_is_done_by_another(ray, invoke, folder, listing):
    folder(*"abcdef")
    gone = threading.Event()

    def die(node, method):
        if node == "one" and method == "do":
            gone.set()
        if node == "one" and gone.is_set():
            raise ActorUnschedulableError if method == "ready" else RayActorError
        if method == "do":
            gone.wait(timeout=20)  # so that it has a job

    ray({"one": CPU, "two": CPU}, die)
    done = invoke("tokenize", "in", "-o", "out", "--ray")
    assert done.status == 0, done.err
    assert "its worker on here (one) died; another does it" in done.err
    assert "no worker on here (one): the node is gone" in done.err
    assert "6 of 6 files done" in done.err
    assert len([name for name in listing() if name.startswith("out/")]) == 6


def test_a_worker_that_is_started_again_is_waited_for(ray, invoke, folder):
    folder("a")
    asked = []

    def die(node, method):
        asked.append(method)
        if asked.count("ready") < 4:
            raise ActorUnavailableError

    ray({"one": CPU}, die)
    done = invoke("tokenize", "in", "--ray")
    assert done.status == 0, done.err
    assert asked.count("ready") == 4


def test_what_a_dead_worker_had_made_is_done(ray, invoke, folder, monkeypatch, tmp_path):
    """It died between naming the output and saying so: the output is no reason to fail."""
    folder("a")
    output = tmp_path / "in/a.tokens.safetensors"
    do, made = Worker.do, []

    def die_at_the_end(self, serial, job, again):
        done = do(self, serial, job, again)
        made.append(output.stat().st_ino)
        if not again:
            raise SystemError
        return done

    monkeypatch.setattr(Worker, "do", die_at_the_end)
    ray({"one": CPU})
    done = invoke("tokenize", "in/a.wav", "--ray")
    assert done.status == 0
    assert "in/a.wav -> in/a.tokens.safetensors" in done.err
    assert made == [output.stat().st_ino] * 2


def test_a_file_that_workers_die_of_fails_and_others_are_done(ray, invoke, folder, monkeypatch):
    folder("a", "b")
    do = Worker.do

    def crash(self, serial, job, again):
        if job.input.label == "in/b.wav":
            return do(self, serial, job, again)
        self._outbox.end(serial)
        raise SystemError

    monkeypatch.setattr(Worker, "do", crash)
    ray({"one": CPU})
    done = invoke("tokenize", "in", "--ray")
    assert done.status == 1
    assert "in/a.wav: 3 workers died of it: has a node too little memory?" in done.err
    assert "1 of 2 files done, 1 failed" in done.err


def test_without_a_worker_the_command_ends(ray, invoke, folder, monkeypatch):
    folder("a", "b")
    ray({"one": CPU, "two": CPU})
    monkeypatch.setattr(cluster.audiomask, "__version__", "0")
    worker = "audiomask.cli.cluster_worker.audiomask"
    monkeypatch.setattr(worker, SimpleNamespace(__version__="1"))
    done = invoke("tokenize", "in", "--ray")
    assert done.status == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("audiomask: error: --ray auto: no worker is left (here (")
    assert "it has audiomask 1, and this machine 0: install the same" in last
    assert last.endswith("; --skip-existing goes on with what is missing")


def test_a_folder_that_is_not_shared_is_named():
    with pytest.raises(ClusterError, match=r"cannot enter /no/where \(No such .*: share the folde"):
        Worker().ready(cluster.audiomask.__version__, nullcontext, "/no/where", True, None, 0)


def test_errors_that_end_all_do(ray, invoke, folder, engine, monkeypatch):
    def broken(*arguments):
        raise CheckpointError("m: is broken")

    folder("a", "b")
    monkeypatch.setattr(engine, "tokenize", broken)
    ray({"one": CPU})
    done = invoke("tokenize", "in", "--ray", "-q")
    assert (done.status, done.error_line()) == (1, "audiomask: error: m: is broken")


def test_an_address_may_be_left_out():
    fill = app.with_ray_address
    assert fill(["--ray", "in"]) == ["--ray=auto", "in"]
    assert fill(["in", "--ray"]) == ["in", "--ray=auto"]
    for address in ("auto", "local", "10.0.0.1:6379", "head:6379", "[::1]:6379"):
        assert fill(["--ray", address, "in"]) == ["--ray", address, "in"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ray=x"], "--ray is auto, local or HOST:PORT, not 'x'"),
        (["--ray", "--device", "cuda:1"], "--ray gives each worker a GPU: use --device cuda, auto"),
        (["--ray", "-o", "-"], "--ray hands files to other machines: name files in place of '-'"),
    ],
)
def test_what_cannot_be_is_refused(invoke, folder, arguments, said):
    folder("a")
    done = invoke("tokenize", "in/a.wav", *arguments)
    assert done.status == 2
    assert said in done.error_line()


def test_a_cluster_that_is_not_there_is_one_line(invoke, folder):
    pytest.importorskip("ray", reason="ray is not installed")
    folder("a")
    done = invoke("tokenize", "in", "--ray", "127.0.0.1:1")
    assert done.status == 1
    assert done.error_line() == (
        "audiomask: error: --ray 127.0.0.1:1: nothing answers there: Connection refused"
    )


def test_without_ray_the_extra_is_named(invoke, folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    folder("a")
    done = invoke("tokenize", "in", "--ray")
    assert done.status == 1
    assert "--ray needs ray, which is not installed: pip install" in done.error_line()


def test_reasons_are_one_line():
    reason = cluster_connection.reason_of
    assert reason(ValueError("a\nb")) == "a"
    assert reason(ValueError("ray::x\nTraceback (most\n  File\nImportError: no y\n")) == (
        "ImportError: no y"
    )
    assert reason(ValueError()) == "ValueError"


def test_a_worker_waits_until_what_it_gathers_is_written():
    outbox, stop = Outbox(), threading.Event()

    def check():
        if stop.is_set():
            raise Stopped

    meter = FarMeter(outbox, check)
    meter.start("a", 2.0)
    meter.advance(1.0)
    waits = threading.Thread(target=lambda: outbox.wait(outbox.tell("gather", 1, ()), check))
    waits.start()
    events = []
    while len(events) < 3:
        assert waits.is_alive()
        events += outbox.take(0)[0]
    assert events == [("start", "a", 2.0), ("advance", 1.0), ("gather", 1, ())]
    assert waits.is_alive()
    outbox.end(0)
    assert outbox.take(0) == ([], False)  # that it is asked again says that all was applied
    waits.join(timeout=20)
    assert not waits.is_alive()
    stop.set()
    with pytest.raises(Stopped):
        outbox.wait(outbox.tell("gather", 1, ()), check)


def test_copies_send_what_they_gather_to_the_original():
    class Lines(Gatherer):
        carried = ("other",)
        other = "b"

        def __init__(self):
            self.found = []

        def gather(self, *found):
            self.found.append(found)

    original = Lines()
    original.other = "c"
    make, arguments = original.__reduce__()
    copy = make(*arguments)
    send_by(receive)
    copy.gather("file", ["line"])
    assert (copy.other, original.found) == ("c", [("file", ["line"])])


def test_messages_of_a_worker_reach_the_command(caplog):
    cluster.apply_event(("log", "audiomask.x", logging.WARNING, "100 % lost"), None)
    assert "100 % lost" in caplog.text
