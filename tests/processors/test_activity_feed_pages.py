"""Pages of a feed: no gap, no repeat, and a bound."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random

import pytest

from fundlyhub.errors import WrongUse
from fundlyhub.processors.writes.activity_feed.reading import Line, Mark, Page
from fundlyhub.settings import Settings
from tests.processors.feeds import (
    JOHN,
    MARY,
    ROOFS,
    WELLS,
    Feeds,
    made,
)
from tests.support.make import campaign, completed


@pytest.fixture
def world(settings: Settings) -> Feeds:
    """I follow John and the campaign Wells, which Mary has started."""
    return made()


class TestPages:
    @staticmethod
    def walk(world: Feeds, limit: int) -> Iterator[Page]:
        mark: Mark | None = None
        while True:
            page = world.home(before=mark, limit=limit)
            yield page
            if page.next is None:
                return
            mark = Mark.parse(str(page.next))

    def test_pages_have_no_gaps_and_no_repeats_while_new_activities_arrive(self, world: Feeds) -> None:
        random = Random(1)
        for n in range(60):
            world.tell(
                completed(random.choice([WELLS, ROOFS]), donor_id=JOHN, amount=Decimal(n + 1), is_anonymous=False)
            )
        world.tell(campaign(ROOFS, user_id=MARY, title="Roofs", status="draft"))  # half of it is hidden
        before = world.home(limit=100).lines
        seen: list[Line] = []
        for page in self.walk(world, 7):
            seen += page.lines
            world.tell(completed(WELLS, donor_id=JOHN, amount=Decimal(999), is_anonymous=False))
        assert seen == list(before)
        assert 20 < len(seen) < 60
        assert len(set(seen)) == len(seen)

    def test_much_that_is_hidden_makes_short_pages_and_no_end(self, world: Feeds) -> None:
        with world.engine.begin() as db:
            db.exec_driver_sql(
                """INSERT INTO activities (position, occurred_at, type, actor_kind, actor_id, target_kind, target_id)
                   SELECT n, '2027-01-01'::timestamptz + n * interval '1 s', 'campaign_updated', 'user', %(john)s,
                          'campaign', %(roofs)s FROM generate_series(1000, 9999) n""",
                {"john": JOHN, "roofs": ROOFS},
            )
            db.exec_driver_sql(
                """INSERT INTO timeline_entries
                   SELECT 'user', actor_id, occurred_at, position FROM activities WHERE position >= 1000"""
            )
        pages = list(self.walk(world, 5))
        assert len(pages) > 1
        assert [line.text for page in pages for line in page.lines] == ["Mary started Wells"]

    @pytest.mark.parametrize(
        "text", ["", "x", "2026-01-01~1", "2026-01-01T00:00:00+00:00~x", "2026-01-01T00:00:00+00:00~-1"]
    )
    def test_a_mark_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(WrongUse, match="no mark of a page"):
            Mark.parse(text)

    @pytest.mark.parametrize("limit", [0, 101])
    def test_a_page_is_bounded(self, world: Feeds, limit: int) -> None:
        with pytest.raises(WrongUse, match="limit: must be from 1 to 100"):
            world.home(limit=limit)
