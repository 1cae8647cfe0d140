"""Tables on narrow terminals: what is copied stays in one piece, and nothing from outside steers the terminal."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from typing import Any
from uuid import uuid4

import pytest
from rich.cells import cell_len

from fundlyhub.cli.output import Table
from fundlyhub.cli.tables import short_ids
from fundlyhub.printable import printable

COLUMNS = ("id", "processor", "error", "message", "last failed", "fingerprint")
MESSAGE = "the provider answered nothing within ten seconds, and may have accepted the call all the same"
ROWS = [
    (str(number), "email_notification", "OutcomeUnknown", MESSAGE, "2026-11-29 00:12:11Z", f"c81e728d9d4c{number}")
    for number in range(3)
]


def printed(width: int, monkeypatch: pytest.MonkeyPatch, *args: Any, **options: Any) -> str:
    """What a terminal of this width shows."""
    monkeypatch.setenv("COLUMNS", str(width))
    with redirect_stdout(io.StringIO()) as out:
        Table(*args, **options).print()
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 250])
def test_no_word_is_broken_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(width, monkeypatch, "Letters", COLUMNS, ROWS)
    assert max(map(cell_len, shown.splitlines())) <= width
    for row in ROWS:
        for word in " ".join(row).split():
            assert re.search(rf"(?<!\S){re.escape(word)}(?!\S)", shown), word


def test_optional_columns_go_first_and_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(100, monkeypatch, "Letters", COLUMNS, ROWS, optional=("fingerprint", "last failed"))
    assert "2026-11-29" not in shown
    assert "c81e728d9d4c1" in shown
    assert "Not shown: last failed." in shown
    assert "Not shown" not in printed(250, monkeypatch, "Letters", COLUMNS, ROWS, optional=("fingerprint",))


def test_a_terminal_too_narrow_for_a_table_gets_records(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(50, monkeypatch, "Letters", COLUMNS, ROWS)
    assert "processor    email_notification\n" in shown
    assert shown.count("fingerprint  c81e728d9d4c") == 3


def test_a_long_value_of_two_columns_is_one_line_that_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://someone@127.0.0.1:5432/" + "x" * 90
    assert f"events  {url}\n" in printed(60, monkeypatch, "Up", ("what", "where"), [("events", url)])


def test_short_ids_tell_apart_and_grow_where_they_must() -> None:
    ids = [str(uuid4()) for _ in range(50)]
    assert all(one is not None and ids[index].startswith(one) for index, one in enumerate(short_ids(ids)))
    ordered = [f"019acf30-5a11-7000-8000-{number:012x}" for number in range(5)]
    assert short_ids([*ordered, None]) == [*ordered, None]
    assert len(set(short_ids(ordered))) == 5
    assert short_ids(["019acf30-5a11-7000-8000-000000000001"]) == ["019acf30"]


def test_a_number_to_be_copied_has_no_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(80, monkeypatch, "Events", ("position", "bytes"), [(1234567, 7654321)])
    assert "1234567" in shown
    assert "7,654,321" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("red \x1b[31m", "red \\x1b[31m"),
        ("bell\x07 and \x9b2J", "bell\\x07 and \\x9b2J"),
        ("right\u202eleft", "right\\u202eleft"),
        ("two\u2028lines", "two\\u2028lines"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("گل\u200cها", "گل\u200cها"),
        ("two\nlines, [bold]no markup[/bold]", "two\nlines, [bold]no markup[/bold]"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_its_escape(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printable(text) == shown
    found = printed(250, monkeypatch, "Names", ("name", "what"), [(text, "x")])
    for line in shown.splitlines():
        assert line in found
