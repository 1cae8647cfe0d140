"""Workers that have an event in their hands while it is erased: who is waited for, for how long, and who is not."""

from __future__ import annotations

import pytest

from fundlyhub import UserProfileUpdated, publish_event
from fundlyhub.database import get_engine
from fundlyhub.errors import Unavailable
from fundlyhub.processing.claims import claim
from fundlyhub.settings import Settings
from tests.people.erased import GUEST, GUS, erased, guest_gift, places, take_up
from tests.verification import world
from tests.verification.world import BEN, OURS, found, sql


@pytest.mark.chaos  # for its length
def test_a_worker_that_had_an_event_in_its_hands_leaves_no_word(at_rest: Settings) -> None:
    said = publish_event(UserProfileUpdated(user_id=BEN, changes={"name": "Ben in hands"}))
    gift = publish_event(guest_gift())
    world.relay()
    finished: list[str] = []

    def tell(what: str, done: int, total: int) -> None:
        """The worker, which has read the events before they were overwritten, commits only now."""
        if what.startswith("waiting for workers") and not finished:
            finished.append(what)
            with get_engine("app").begin() as db:
                claim(db, "recipient_write", [said, gift])
                OURS["recipient_write"]().handle_batch([said, gift], db)
            assert places(GUEST) or places("Ben in hands")
            take_up()

    erased(address=GUEST, tell=tell)
    assert finished.pop()
    publish_event(UserProfileUpdated(user_id=BEN, changes={"bio": "one more"}))
    world.relay()
    erased(BEN, tell=lambda what, *_: take_up() if what.startswith("waiting for workers") else None)
    for value in ("Ben in hands", GUEST, GUS):
        assert places(value) == []
    assert found() == []


RENAMED = UserProfileUpdated(user_id=BEN, changes={"name": "Ben B."})


def handed_out_but_not_applied() -> None:
    """An event about Ben that the relay has handed out, and no worker has settled."""
    publish_event(RENAMED)
    world.relay()


def pause_all(since: str) -> None:
    for name in OURS:
        sql(
            "INSERT INTO events.processor_pauses (processor, kind, who, reason, since) "
            f"VALUES (%s, 'by hand', 'ann', 'a test', now() - interval '{since}')",
            name,
        )


@pytest.mark.chaos  # for its length
def test_nobody_waits_for_a_processor_that_is_paused_for_longer_than_a_batch_can_last(at_rest: Settings) -> None:
    handed_out_but_not_applied()
    pause_all("1 hour")
    told: list[str] = []
    assert erased(BEN, tell=lambda what, *_: told.append(what)).whole
    assert not [what for what in told if what.startswith("waiting for workers")]
    sql("DELETE FROM events.processor_pauses")
    take_up()
    assert places("Ben B.") == []
    assert found() == []


def test_it_says_at_once_for_whom_it_waits_and_what_to_do(at_rest: Settings, caplog: pytest.LogCaptureFixture) -> None:
    handed_out_but_not_applied()
    pause_all("2 seconds")

    def tell(what: str, *_: int) -> None:
        if what.startswith("waiting for workers"):
            raise Unavailable(what)  # as at Ctrl-C

    with pytest.raises(Unavailable, match=r"waiting for .*recipient_write"):
        erased(BEN, tell=tell)
    (said,) = [one.getMessage() for one in caplog.records if one.getMessage().startswith("recipient_write")]
    assert said.startswith("recipient_write has not settled 1 of the events: it is paused, and a batch from before")
    assert "`fundlyhub processors resume recipient_write`" in said
    sql("DELETE FROM events.processor_pauses")
    take_up()
    assert erased(BEN).whole
    assert places("Ben B.") == []


def test_what_the_relay_does_not_know_is_not_waited_for_and_what_is_not_here_is_told(at_rest: Settings) -> None:
    handed_out_but_not_applied()
    sql("DELETE FROM events.processors")
    sql("INSERT INTO events.processors VALUES ('praises', '{user.**}', 0), ('others', '{payout.**}', 0)")
    report = erased(BEN)
    assert (report.whole, report.unknown) == (True, ["praises"])
