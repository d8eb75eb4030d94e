"""Addresses: what users may write, and what they are told when it cannot be read."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audiomask.data.layouts import recognize
from audiomask.data.places import is_address
from audiomask.data.shards.address import Address, parse, stream
from audiomask.data.shards.source import ShardSource
from audiomask.data.sources import signature
from audiomask.errors import DataError, DependencyError

ALL = ("http://host/shards/", "http://host/shards", "http://host/shards/shards.json")


@pytest.mark.parametrize("text", ALL)
def test_a_set_is_named_by_its_folder(text: str) -> None:
    address = parse(text)
    assert address == Address(text, "http://host/shards/", True)
    assert address.of("train/000000.tar") == "http://host/shards/train/000000.tar"


def test_some_shards_are_named_by_a_pattern() -> None:
    address = parse("http://host/s/train/{000008..000011}.tar")
    assert address.before == "http://host/s/"
    assert address.names == {f"train/{n:06d}.tar" for n in range(8, 12)}
    assert address.of("shards.json") == "http://host/s/shards.json"
    both = parse("http://host/s/{train,test}/000000.tar")
    assert both.names == {"train/000000.tar", "test/000000.tar"}
    # a command may go on behind the name, as webdataset's own addresses do
    piped = parse("pipe:ssh host 'cat /s/train/{000000..000001}.tar' | pv -q")
    assert piped.of("shards.json") == "pipe:ssh host 'cat /s/shards.json' | pv -q"
    assert not parse("s/train/{000000..000003}.tar").streamed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://host/{a,b}/train/000000.tar", "shards of several sets"),
        ("http://host/{000000..000003}.tar", "which has a train/000000.tar in it"),
        ("http://host/train/{000000..000003.tar", "braces"),
    ],
)
def test_patterns_that_are_no_set(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse(text)


def test_folders_are_no_addresses(tmp_path: Path) -> None:
    for text in ("http://h/s", "pipe:cat /s/", "gs://b/s/", "file:/s/", "a/train/{0..3}.tar"):
        assert is_address(text)
    (tmp_path / "odd:name").mkdir()
    for text in ("shards", "/data/shards", "C:/shards", "C:\\shards", str(tmp_path / "odd:name")):
        assert not is_address(text)


def test_without_webdataset_the_extra_is_named(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "webdataset.gopen", None)
    monkeypatch.setitem(sys.modules, "braceexpand", None)
    for text in (f"pipe:cat {packed}/", f"{packed}/train/{{000000..000001}}.tar"):
        with pytest.raises(DependencyError, match=r"pip install .*webdataset") as caught:
            recognize(text)
        assert "\n" not in str(caught.value)
    assert isinstance(recognize(packed), ShardSource)  # a folder needs nothing


def test_what_cannot_be_read(tmp_path: Path, server: Callable[..., object]) -> None:
    running = server(tmp_path)
    assert hasattr(running, "address")
    nothing = f"{running.address}none/"
    for address, reason in (
        (nothing, f"{nothing}shards.json: cannot be read: the server refuses it or does not have"),
        ("http://127.0.0.1:1/", "it refuses the connection"),
        ("pipe:false ", "the command ended with status 1"),
        (f"file:{tmp_path}/", "No such file"),
        ("nonsense://host/", "no gopen handler"),
    ):
        with pytest.raises(DataError, match=reason) as caught:
            recognize(address)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(address)
    with pytest.raises(DataError, match="curl is not installed"):
        raise_without_curl()


def raise_without_curl() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        list(stream("http://127.0.0.1:1/shards.json"))


def test_a_stream_is_recognised_like_the_folder(
    packed: Path, server: Callable[..., object]
) -> None:
    here = recognize(packed)
    running = server(packed)
    assert hasattr(running, "address")
    assert isinstance(here, ShardSource)
    for text in (f"{running.address}", f"pipe:cat {packed}/", f"file:{packed}/"):
        there = recognize(text)
        assert isinstance(there, ShardSource)
        assert there.shards.manifest == here.shards.manifest
        assert (there.stems, there.layout, there.where) == (here.stems, "tar shards", text)
        assert signature([there]) == signature([here])
    some = recognize(f"{packed}/train/{{000000..000001}}.tar")
    assert isinstance(some, ShardSource)
    assert [s.name for s in some.shards.manifest.shards] == ["train/000000.tar", "train/000001.tar"]
    assert signature([some]) != signature([here])
    with pytest.raises(DataError, match=r"train/000098\.tar: is not among the shards"):
        recognize(f"{packed}/train/{{000098..000099}}.tar")
