"""Inputs and outputs at addresses: fetched, sent as a whole, and named as the user did."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from audiomask.cli import addresses
from audiomask.cli.inputs import collect_inputs
from audiomask.cli.page_file import check_page
from audiomask.errors import AudioFileError, DependencyError, OutputExistsError, UsageError

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture(autouse=True)
def stand(tmp_path, monkeypatch):
    """The folder of stand-ins, of this test alone."""
    monkeypatch.setattr(addresses.StandIns, "folder", None)
    addresses.use_stand_ins(tmp_path / "stand-ins")
    return tmp_path / "stand-ins"


@pytest.fixture
def memory():
    """fsspec's file system in memory; it is no object store, so files are renamed there."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_path_stands_for_an_address(stand):
    path = addresses.stand_in("memory://a/b c/d.wav")
    assert path == stand / "memory/a/b c/d.wav"
    assert addresses.address_of(path) == "memory://a/b c/d.wav"
    assert addresses.address_of(Path("/a/b")) is None
    told = addresses.name_addresses(f"x: {path}: is empty, {path.parent}/e.wav")
    assert told == "x: memory://a/b c/d.wav: is empty, memory://a/b c/e.wav"


@pytest.mark.parametrize("text", ["memory://a/../b", "memory://a//b", "memory://a/./b"])
def test_an_address_that_no_path_can_stand_for_is_refused(text):
    with pytest.raises(UsageError, match="may not be in an address"):
        addresses.stand_in(text)


def test_a_long_address_is_refused():
    with pytest.raises(UsageError, match="is too long an address: download it first"):
        addresses.stand_in(f"memory://a/b.wav?signature={'x' * 300}")


def test_protocols_that_nothing_reads_are_named(monkeypatch):
    with pytest.raises(UsageError, match=r"foo://a/b: there is no protocol foo:// \(there are s3"):
        addresses.stand_in("foo://a/b")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(DependencyError, match=r"gs:// cannot be reached: .*install gcsfs"):
        addresses.stand_in("gs://a/b")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DependencyError, match=r"s3:// needs fsspec, which .*: pip install .*s3fs"):
        addresses.stand_in("s3://a/b")


def test_folders_are_walked(memory):
    for name in ("a.wav", "deep/b.wav", "deep/no.txt", ".hidden/c.wav", "out/d.wav"):
        memory.pipe_file(f"/album/{name}", b"")
    out = addresses.stand_in("memory://album/out")
    found = collect_inputs(["memory://album/"], output_folder=out)
    labels = [(item.label, str(item.relative)) for item in found.items]
    assert labels == [
        ("memory://album/a.wav", "a.wav"),
        ("memory://album/deep/b.wav", "deep/b.wav"),
    ]
    assert found.several
    (one,) = collect_inputs(["memory://album/a.wav"]).items
    assert (one.label, str(one.relative)) == ("memory://album/a.wav", "a.wav")
    with pytest.raises(UsageError) as refused:
        collect_inputs(["memory://album/deep"], lambda path: False)
    told = addresses.name_addresses(str(refused.value))
    assert told == "no fitting files in the folder memory://album/deep"


def test_a_web_address_is_named_without_its_query():
    (one,) = collect_inputs(["https://a.org/b/c.wav?key=d/e"]).items
    assert (one.label, str(one.relative)) == ("https://a.org/b/c.wav?key=d/e", "c.wav")
    with pytest.raises(UsageError, match="nothing can be written there: choose a place with -o"):
        addresses.check_writable(one.source)


def test_outputs_appear_when_they_are_complete(memory, stand):
    source, output = addresses.stand_in("memory://a.wav"), addresses.stand_in("memory://o/b.wav")
    memory.pipe_file("/a.wav", b"in")
    names = []
    put, move = memory.put_file, memory.mv
    memory.put_file = lambda here, there: (names.append(there), put(here, there))
    memory.mv = lambda old, new: (names.append(new), move(old, new))
    try:
        with addresses.fetched(source, [output], overwrite=False):
            assert source.read_bytes() == b"in"
            output.parent.mkdir(parents=True)
            output.write_bytes(b"out")
            assert not addresses.exists_there(output)
    finally:
        del memory.put_file, memory.mv
    assert names[0].startswith("/o/.audiomask-")
    assert names[1] == "/o/b.wav"
    assert memory.find("/") == ["/a.wav", "/o/b.wav"]
    assert memory.cat_file("/o/b.wav") == b"out"
    assert left(stand) == []


@pytest.mark.parametrize("when", ["in the work", "at the renaming", "before the sending"])
def test_after_an_error_nothing_is_left(memory, stand, monkeypatch, when):
    source, output = addresses.stand_in("memory://a.wav"), addresses.stand_in("memory://o/b.wav")
    memory.pipe_file("/a.wav", b"in")

    def work():
        with addresses.fetched(source, [output], overwrite=False):
            output.parent.mkdir(parents=True)
            output.write_bytes(b"out")
            if when == "in the work":
                raise ZeroDivisionError
            if when == "before the sending":
                memory.pipe_file("/o/b.wav", b"another's")

    def refuse(old, new):
        raise ConnectionResetError("the line\nbroke")

    if when == "at the renaming":
        monkeypatch.setattr(memory, "mv", refuse)
    kind, said = {
        "in the work": (ZeroDivisionError, ""),
        "at the renaming": (AudioFileError, "memory://o/b.wav: cannot be written: the line broke"),
        "before the sending": (OutputExistsError, "memory://o/b.wav: exists"),
    }[when]
    with pytest.raises(kind, match=said):
        work()
    kept = [b"another's"] if when == "before the sending" else []
    assert [memory.cat_file(name) for name in memory.find("/o")] == kept
    assert left(stand) == []


def test_a_missing_file_is_one_line(invoke, memory):
    done = invoke("tokenize", "memory://none/a.wav", "-o", "a.npy")
    assert done.status == 1
    assert done.error_line() == (
        "audiomask: error: memory://none/a.wav: cannot be read: there is no such file"
    )


def test_other_options_take_no_addresses(invoke, wav):
    wav("a.wav")
    done = invoke("infill", "a.wav", "--from", "s3://b/c.wav")
    assert done.status == 2
    assert "addresses are not read: download it first" in done.error_line()


@pytest.mark.parametrize("command", ["tokenize", "infill", "separate"])
def test_songs_in_a_bucket(invoke, s3, wav, stand, listing, command):
    """From S3 to S3, mirrored; what is no audio fails, and a second run has nothing to do."""
    for name in ("a", "deep/b"):
        s3.put_file(str(wav(f"{name}.wav")), f"songs/in/{name}.wav")
    s3.pipe_file("songs/in/empty.wav", b"")
    options = {
        "tokenize": [],
        "infill": ["--gap", "0.1:0.12", "--report", "told.jsonl"],
        "separate": ["--stem", "bass", "--report", "told.jsonl"],
    }[command]
    run = [command, "s3://songs/in", "-o", "s3://songs/out", *options]
    done = invoke(*run)
    assert done.status == 1
    assert "s3://songs/in/empty.wav  is empty" in done.err
    assert "2 of 3 files done, 1 failed" in done.err
    assert str(stand) not in done.err
    made = {name: s3.cat_file(name) for name in s3.find("songs/out")}
    assert len(made) == 2
    for name in ("a", "deep/b"):
        assert f"s3://songs/in/{name}.wav -> s3://songs/out/{name}" in done.err
    if command != "tokenize":
        lines = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
        files = {line["file"] for line in lines}
        assert files == {f"s3://songs/in/{name}.wav" for name in ("a", "deep/b", "empty")}
    assert left(stand) == []
    again = invoke(*run, "--skip-existing")
    assert "0 of 3 files done, 2 skipped, 1 failed" in again.err
    assert {name: s3.cat_file(name) for name in s3.find("songs/out")} == made
    Path("told.jsonl").unlink(missing_ok=True)
    refused = invoke(*run)
    assert "3 of 3 files failed" in refused.err
    assert "s3://songs/out/a" in refused.err
    assert "exists" in refused.err


def test_a_bucket_and_a_cluster(invoke, s3, wav, monkeypatch, stand):
    """A worker uses the same stand-ins, and removes them."""
    from types import SimpleNamespace

    from fake_ray import FakeRay

    from audiomask.cli import cluster
    from audiomask.cli.cluster_worker import Worker

    monkeypatch.setattr(Worker, "_send_messages", lambda self, level: None)
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
    monkeypatch.setattr(cluster, "optional", lambda *names: strategies)
    monkeypatch.setattr(cluster, "connect", lambda address: FakeRay({"one": {"CPU": 1.0}}))
    s3.put_file(str(wav("a.wav")), "songs/a.wav")
    done = invoke("tokenize", "s3://songs/a.wav", "--ray")
    assert done.status == 0, done.err
    assert s3.find("songs") == ["songs/a.tokens.safetensors", "songs/a.wav"]
    assert not stand.exists()
    assert np.size(s3.cat_file("songs/a.tokens.safetensors")) > 0


def test_no_page_at_an_address(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--page is opened from a disk"):
        check_page(page=True, output="memory://bucket/stems")
    check_page(page=False, output="memory://bucket/stems")
    check_page(page=True, output=str(tmp_path))
