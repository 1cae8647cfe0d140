"""Nobody is told twice while workers of the release before, which know of no matter, run beside ours."""

from __future__ import annotations

from uuid import UUID, uuid4

from fundlyhub import publish_events
from fundlyhub.database import get_engine
from fundlyhub.processors.notifications import EmailBroadcastProcessor
from fundlyhub.testing.providers import SendGrid
from tests.notifications.occasions import GIFT, update
from tests.notifications.post import ME, WELLS, Post
from tests.notifications.test_sending import mailed, receipt
from tests.support.make import completed

# What a worker of the release before writes: it knows of no matter.
OLDER_PLAN = """
    INSERT INTO app.notifications (event_id, position, channel, recipient, template, user_id, transactional, state)
    SELECT id, position, 'email', %s, 'donation_receipt', %s, true, 'queued' FROM events.events WHERE position = %s
    ON CONFLICT (event_id, channel, recipient, template) DO NOTHING RETURNING id
"""


class TestBesideTheReleaseBefore:
    """Its workers write rows without a matter, until the last of them has ended."""

    def older(self, post: Post, position: int, state: str = "sent") -> UUID:
        """A receipt as such a worker leaves it."""
        with get_engine("app").begin() as db:
            id_ = db.exec_driver_sql(OLDER_PLAN, (str(ME), ME, position)).scalar_one()
            db.exec_driver_sql("UPDATE app.notifications SET state = %s WHERE id = %s", (state, id_))
        assert isinstance(id_, UUID)
        return id_

    def test_what_it_has_told_is_not_told_again(self, post: Post, mailer: SendGrid) -> None:
        first, second = receipt(post), receipt(post)
        self.older(post, first[0])
        assert mailed(post, second).outcomes == {"done": 1}
        assert len(mailer.accepted) == 0
        assert post.column("SELECT matter FROM app.notifications WHERE template = 'donation_receipt'") == [
            f"donation_id={GIFT}"
        ]

    def test_its_message_is_sent_on_by_a_worker_of_ours_under_the_id_that_it_has(
        self, post: Post, mailer: SendGrid
    ) -> None:
        first = receipt(post)
        id_ = self.older(post, first[0], "queued")
        assert mailed(post, first).outcomes == {"done": 1}
        assert [one.reference for one in mailer.accepted] == [str(id_)]

    def test_two_messages_that_it_has_told_of_one_matter_stay_two(self, post: Post, mailer: SendGrid) -> None:
        first, second, third = receipt(post), receipt(post), receipt(post)
        ids = post.column("SELECT id FROM events.events WHERE position = ANY (%s) ORDER BY position", first + second)
        self.older(post, first[0])
        self.older(post, second[0])
        assert mailed(post, third).outcomes == {"done": 1}
        assert len(mailer.accepted) == 0
        matters = "SELECT matter FROM app.notifications WHERE template = 'donation_receipt' ORDER BY position"
        assert post.column(matters) == [f"donation_id={GIFT}", f"event={ids[1]}"]

    def test_a_row_whose_event_is_gone_is_about_that_alone(self, post: Post, mailer: SendGrid) -> None:
        gone = uuid4()
        post.sql(
            "INSERT INTO app.notifications (event_id, position, channel, recipient, template, user_id, transactional,"
            " state) VALUES (%s, 1000000, 'email', %s, 'donation_receipt', %s, true, 'sent')",
            gone, str(ME), ME,
        )  # fmt: skip
        assert mailed(post, receipt(post)).outcomes == {"done": 1}
        assert len(mailer.accepted) == 1
        assert post.column("SELECT matter FROM app.notifications WHERE event_id = %s", gone) == [f"event={gone}"]

    def test_it_plans_nothing_that_a_worker_of_ours_has_planned(self, post: Post) -> None:
        first = receipt(post)
        mailed(post, first)
        with get_engine("app").begin() as db:
            assert db.exec_driver_sql(OLDER_PLAN, (str(ME), ME, first[0])).all() == []

    def test_thousands_of_its_rows_are_named_once(self, post: Post) -> None:
        gifts = (completed(WELLS, donation_id=UUID(int=50_000 + n), donor_id=ME) for n in range(2_100))
        positions = [event.position for event in publish_events(gifts)]
        every = OLDER_PLAN.replace("= %s\n", "= ANY (%s)\n").replace("RETURNING id", "")
        post.sql(every, str(ME), ME, positions)
        assert mailed(post, receipt(post)).outcomes == {"done": 1}
        named = "SELECT count(*), count(DISTINCT matter) FROM app.notifications WHERE template = 'donation_receipt'"
        assert post.rows(named) == [(2_101, 2_101)]

    def test_followers_whom_it_has_told_are_not_told_again(self, full: Post) -> None:
        first, second = full.known(update), full.known(update)
        full.run(EmailBroadcastProcessor, first)
        full.sql("UPDATE app.notifications SET matter = NULL, id = gen_random_uuid()")
        before = full.entries()
        assert full.run(EmailBroadcastProcessor, second).outcomes == {"done": 1}
        assert [one for one in full.entries() if one.channel == "email"] == before
