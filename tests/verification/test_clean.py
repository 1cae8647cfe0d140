"""A platform that is right: nothing is found, nothing is touched, and nothing is left behind."""

from __future__ import annotations

import re

import pytest

from fundlyhub.database import get_engine
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed.reading import profile_feed
from fundlyhub.settings import Branch, Settings
from fundlyhub.verification.tables.check import derived_tables
from tests.support import ROOT
from tests.verification.world import OURS, sql, verified

RELATIONS = """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition AND relnamespace = %s::regnamespace
"""
TABLES = (ROOT / "docs" / "tables.md").read_text()


def test_nothing_is_found_where_everything_is_right(at_rest: Settings) -> None:
    report = verified()
    assert report.document()["findings"] == []
    assert report.ok
    assert not report.left_out
    assert not report.in_flight
    assert report.checked["events"] > 600
    assert report.checked["messages"] > 100
    assert report.checked["tables"] == sum(len(cls.tables) for cls in OURS.values())
    writes = [cls.name for cls in OURS.values() if cls.queue in ("writes", "projections")]
    claims = sql("SELECT count(*) FROM (TABLE app.processed_events UNION ALL TABLE analytics.processed_events) c"
                 " WHERE processor = ANY (%s)", writes)  # fmt: skip
    assert report.checked["claims replayed"] == claims[0][0]


@pytest.mark.parametrize("branch", ["app", "analytics"])
def test_the_page_of_tables_says_of_each_one_what_it_is_and_of_whom_it_is_compared(
    at_rest: Settings, branch: Branch
) -> None:
    section = TABLES.partition(f"schema `{branch}`")[2].partition("\n## ")[0]
    told = {table: set(re.findall("`([a-z_]+)`", of)) & {*OURS} for table, of in
            re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", section, re.MULTILINE)}  # fmt: skip
    assert {*told} == {name for (name,) in sql(RELATIONS, branch)}
    ours = [cls for cls in OURS.values() if cls.database == branch]
    compared = {table: {cls.name for cls in ours if table in {t.name for t in derived_tables(cls)}} for table in told}
    assert told == compared


def test_the_full_platform_has_rows_in_every_table(at_rest: Settings) -> None:
    for cls in OURS.values():
        for table in derived_tables(cls):
            rows = sql(f"SELECT count(*) FROM {cls.database}.{table.name} WHERE {table.where}")
            assert rows[0][0] > 0, table.name


def test_the_view_of_activities_shows_what_the_feeds_show(at_rest: Settings) -> None:
    timelines = sql("SELECT DISTINCT kind, id FROM app.timeline_entries")
    shown: set[int] = set()
    with get_engine("app").connect() as db:
        for kind, whose in timelines:
            mark = None
            while (page := profile_feed(db, Entity(kind, whose), before=mark)).next:
                shown, mark = shown | {line.position for line in page.lines}, page.next
            shown |= {line.position for line in page.lines}
    assert shown == {position for (position,) in sql("SELECT position FROM app.user_activities")}
    assert len(shown) < sql("SELECT count(*) FROM app.activities")[0][0]
