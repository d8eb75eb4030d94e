"""Reports: what numbers amount to, by hand, as JSON and on narrow screens."""

import json
import math
from io import StringIO

import pytest
from rich.console import Console

from audiomask.evaluation.report import SPREAD, Report, Table, as_json, summarize


def test_summary_by_hand() -> None:
    found = summarize([4.0, 1.0, 2.0, 9.0])
    assert (found.number, found.mean, found.median) == (4, 4.0, 3.0)
    assert (found.least, found.most) == (1.0, 9.0)
    assert (found.lower, found.upper) == (1.75, 5.25)
    # squared differences 0 + 9 + 4 + 25 = 38, over 3, its root over the root of 4
    assert found.error == pytest.approx(math.sqrt(38 / 3) / 2)
    assert found.cells() == ["3.00", "4.00 ± 1.78", "1.75 … 5.25", "1.00", "9.00"]
    assert len(found.cells()) == len(SPREAD)


def test_one_measurement_has_no_error() -> None:
    found = summarize([2.5])
    assert math.isnan(found.error)
    assert found.cells()[:2] == ["2.50", "2.50"]


def test_json_has_no_numbers_that_are_none() -> None:
    data = {"a": summarize([1.0]), "b": [math.inf, (1, "x")], 3: {"c": -math.inf, "d": None}}
    found = json.loads(as_json(data), parse_constant=lambda word: pytest.fail(word))
    assert found["a"]["median"] == 1.0
    assert found["a"]["error"] is None
    assert found["b"] == [None, [1, "x"]]
    assert found["3"] == {"c": None, "d": None}


def test_numbers_are_not_cut_on_a_narrow_screen() -> None:
    cells = summarize([-12.345, 7]).cells()
    out = StringIO()
    sheet = Table("of [b]things[/b]", ("", *SPREAD), [["guitar", *cells]])
    Report({}, [sheet]).show(Console(file=out, width=30))
    assert "[b]things[/b]" in out.getvalue()
    (line,) = (line for line in out.getvalue().splitlines() if "guitar" in line)
    for cell in cells:
        assert cell in line


def test_a_report_shows_tables_then_notes(capsys: pytest.CaptureFixture[str]) -> None:
    Report({}, [Table("first", ("", "x"), [["a", "1"]])], ["one [i]note[/i]"]).show()
    out, err = capsys.readouterr()
    assert out.index("first") < out.index("one [i]note[/i]")
    assert err == ""
