"""A platform that is right: nothing is found, nothing is touched, and nothing is left behind."""

from __future__ import annotations

import pytest

from fundlyhub.database import METADATA
from fundlyhub.settings import Settings
from fundlyhub.verification.tables.truth import KEPT, NOT_KEPT
from tests.verification.world import OURS, sql, verified

TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = %s::regnamespace
      AND relname <> 'alembic_version'
"""


def test_nothing_is_found_where_everything_is_right(at_rest: Settings) -> None:
    report = verified()
    assert report.document()["findings"] == []
    assert report.ok
    assert not report.left_out
    assert not report.in_flight
    assert report.checked["events"] > 600
    assert report.checked["messages"] > 100
    assert report.checked["tables"] == sum(map(len, KEPT.values()))
    writes = [cls.name for cls in OURS.values() if cls.queue in ("writes", "projections")]
    claims = sql("SELECT count(*) FROM (TABLE app.processed_events UNION ALL TABLE analytics.processed_events) c"
                 " WHERE processor = ANY (%s)", writes)  # fmt: skip
    assert report.checked["claims replayed"] == claims[0][0]


@pytest.mark.parametrize("branch", ["app", "analytics"])
def test_every_table_is_compared_or_left_out_for_a_reason(at_rest: Settings, branch: str) -> None:
    kept = {one.name for one in KEPT[branch] if not one.view}  # type: ignore[index]  # a branch
    tables = {name for (name,) in sql(TABLES, branch)}
    assert kept | (set(NOT_KEPT) & tables) == tables
    assert tables >= set(METADATA[branch].tables)  # type: ignore[index]
    assert not kept & set(NOT_KEPT)


def test_the_full_platform_has_rows_in_every_table(at_rest: Settings) -> None:
    for branch, several in KEPT.items():
        for kept in several:
            rows = sql(f"SELECT count(*) FROM {branch}.{kept.name} WHERE {kept.where}")
            assert rows[0][0] > 0, kept.name
