"""The table of what chaos tests measured: added up, and put between the marks of its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.reliability import BEGIN, END, Record, put_into, table, write_lines

RECORDS = [
    Record("kill", "Valkey", 1, 100, 0, 0, 1.5),
    Record("kill", "RabbitMQ", 1, 100, 0, 0, 0.5),
    Record("kill", "Valkey", 2, 50, 1, 3, 0.25),
]


def test_records_of_one_fault_and_place_are_one_row() -> None:
    assert table(RECORDS).splitlines()[2:] == [
        "| kill | Valkey | 3 | 150 | 1 | 3 | 1.5 |",
        "| kill | RabbitMQ | 1 | 100 | 0 | 0 | 0.5 |",
    ]


def test_a_page_keeps_what_stands_outside_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        put_into(page, "new\n")
        assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    with pytest.raises(AssertionError, match="lacks the marks"):
        put_into(page, "new\n")
    assert page.read_text() == "before\n"


def test_each_record_is_a_line_of_json(tmp_path: Path) -> None:
    write_lines(RECORDS, tmp_path / "folder" / "records.jsonl")
    lines = (tmp_path / "folder" / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["delayed"] for line in lines] == [1.5, 0.5, 0.25]
