"""The console: tables without a terminal, bars only on one."""

import io
import sys

import pytest

from audiomask.runtime.console import print_table, printable, track


def test_tables_are_aligned_and_never_folded(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a reason " * 40
    print_table(("file", "why"), [("[b]a[/b].wav", long), ("new\nline", "\x1b[31mred")])
    out, err = capsys.readouterr()
    assert out == ""
    head, rule, first, second = err.splitlines()
    assert head == "file          why"
    assert set(rule) == {"─"}
    assert first == f"[b]a[/b].wav  {long.rstrip()}"
    assert second == "new\\nline     \\x1b[31mred"


def test_tables_where_only_ascii_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    print_table(("file", "why"), [("a", "b")])
    stream.flush()
    assert b"file" in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_text_stays_on_one_line() -> None:
    assert printable("a\tb\u2028c\udcffd é") == "a\\tb\\u2028c\\udcffd é"


def test_tracked_items_come_and_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), "counting", shown=True)) == [0, 1, 2]
    assert list(track(range(3), "counting", shown=False)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
