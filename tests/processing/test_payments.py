"""A payment counts once, as whichever donations it stands in the log, until a person decides otherwise."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from fundlyhub import DonationCompleted, Event, publish_events
from fundlyhub.database import get_engine
from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.processing import dead_letters, payments
from fundlyhub.processing.dead_letters import Terms
from fundlyhub.processing.executor import execute
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.registry import processors
from tests.notifications.post import JOHN, ME, WELLS, registered
from tests.processing.conftest import Query, query
from tests.support.make import campaign, completed
from tests.support.platform import Platform, wait_until
from tests.support.publishing import To
from tests.verification.world import OURS, found

__all__ = ["query"]  # the fixture

FIRST, SECOND, THIRD = (UUID(int=n) for n in (92, 90, 91))
TAKERS = sorted((one for one in OURS.values() if "donation.completed" in one.patterns()), key=lambda one: one.name)
COUNTED = "SELECT donation_count, total_raised::int FROM analytics.campaign_stats_now"
POPULAR = "SELECT count(*) FROM analytics.search_gifts"
FEED = "SELECT count(*) FROM app.feed_gifts"
MAILED = """
    SELECT template, count(*) FROM app.notifications WHERE template LIKE '%%donation%%' AND state <> 'skipped'
    GROUP BY 1 ORDER BY 1
"""
LETTERS = "SELECT processor, state, error_class FROM events.dead_letters ORDER BY processor, position"
ONCE = {COUNTED: [(1, 10)], POPULAR: [(1,)], FEED: [(1,)], MAILED: [("donation_receipt", 1), ("new_donation", 1)]}
TWICE = {COUNTED: [(2, 20)], POPULAR: [(2,)], FEED: [(2,)], MAILED: [("donation_receipt", 2), ("new_donation", 2)]}


def paid(donation: UUID, **fields: object) -> DonationCompleted:
    """A gift of John's to Wells, always by the same payment unless the fields say otherwise."""
    return completed(WELLS, **{"donation_id": donation, "donor_id": JOHN, "transaction_id": "pi_1", **fields})


@pytest.fixture(autouse=True)
def world(query: Query) -> None:
    """My campaign, and John."""
    run(publish(registered(ME), registered(JOHN), campaign(WELLS, user_id=ME, title="Wells", slug="wells")))


def publish(*payloads: Any) -> list[int]:
    return [event.position or 0 for event in publish_events(Event.of(one) for one in payloads)]


def run(positions: Sequence[int], takers: Iterable[type[Processor]] | None = None) -> None:
    """One batch of each processor, of the events that it handles."""
    with get_engine("events").begin() as db:
        sql = "SELECT position, type FROM events.events WHERE position = ANY (%(positions)s)"
        kinds = {at: kind for at, kind in db.exec_driver_sql(sql, {"positions": list(positions)})}  # noqa: C416
    for one in takers or OURS.values():
        if some := [at for at in positions if kinds[at] in one.patterns()]:
            execute(one, some, ends_wait=True)


def send(name: str, positions: Sequence[int]) -> None:
    """A broker and a worker in one."""
    execute(processors()[name], positions, ends_wait=True)


def decide(decision: Any, donation: UUID, reason: str = "as the bank says") -> list[int]:
    with get_engine("events").begin() as db:
        letters: list[int] = decision(db, donation, who="ann", reason=reason)
    return letters


def accept(donation: UUID) -> None:
    letters = decide(payments.accept, donation)
    dead_letters.replay(letters, To(send), who="ann", terms=Terms(wait=False))


def seen(query: Query) -> dict[str, list[Any]]:
    return {sql: query(sql) for sql in ONCE}


def held(state: str = "open") -> list[tuple[str, str, str]]:
    return [(one.name, state, "RepeatedPayment") for one in TAKERS]


def test_there_are_takers_of_every_kind() -> None:
    names = {one.name for one in TAKERS}
    assert {"campaign_stats", "search_index", "activity_feed", "email_notification", "push_notification"} <= names


@pytest.mark.parametrize("order", [[[0, 1]], [[0], [1]], [[1], [0]], [[1], [0, 1]], [[1, 0], [0, 1]]], ids=str)
def test_the_first_of_the_log_counts_in_whatever_order_they_come(query: Query, order: list[list[int]]) -> None:
    positions = publish(paid(FIRST), paid(SECOND))
    for batch in order:
        run([positions[index] for index in batch])
    assert seen(query) == ONCE
    assert query(LETTERS) == held()
    assert query("SELECT donation_id FROM analytics.donation_facts") == [(FIRST,)]
    assert found() == []


def test_what_is_accepted_counts_everywhere_and_is_told(query: Query) -> None:
    run(publish(paid(FIRST), paid(SECOND)))
    accept(SECOND)
    assert seen(query) == TWICE
    assert query(LETTERS) == held("resolved")
    accept(SECOND)  # once more: nothing is left to do
    assert seen(query) == TWICE
    with pytest.raises(WrongState, match="publish the refund"):
        decide(payments.refuse, SECOND)


def test_what_is_refused_rests_and_may_be_accepted_later(query: Query) -> None:
    positions = publish(paid(FIRST), paid(SECOND))
    run(positions)
    decide(payments.refuse, SECOND)
    run(positions)
    assert (seen(query), query(LETTERS)) == (ONCE, held("discarded"))
    accept(SECOND)
    assert (seen(query), query(LETTERS)) == (TWICE, held("resolved"))


def test_a_processor_that_comes_late_follows_the_decision(query: Query) -> None:
    positions = publish(paid(FIRST), paid(SECOND), paid(THIRD))
    late = [one for one in TAKERS if one.name == "campaign_stats"]
    run(positions, [one for one in TAKERS if one not in late])
    decide(payments.refuse, SECOND)
    accept(THIRD)
    query("DELETE FROM events.events WHERE position = %s", positions[0])  # archived: what was refused stays so
    run(positions[1:], late)
    assert query("SELECT donation_id FROM analytics.donation_facts") == [(THIRD,)]
    assert query("SELECT processor, error_message FROM events.dead_letters WHERE state = 'open'") == [
        ("campaign_stats", payments.REFUSED)
    ]


def test_an_acceptance_that_dies_before_its_replay_is_listed_and_can_be_repeated(query: Query) -> None:
    run(publish(paid(FIRST), paid(SECOND)))
    decide(payments.accept, SECOND)
    with get_engine("events").begin() as db:
        (listed,) = payments.find(db, decided=False, limit=10)
    assert (listed.accepted, len(listed.held_by)) == (True, len(TAKERS))
    assert seen(query) == ONCE
    accept(SECOND)
    assert (seen(query), query(LETTERS)) == (TWICE, held("resolved"))


def test_of_two_decisions_at_once_the_second_waits_and_is_refused(query: Query) -> None:
    run(publish(paid(FIRST), paid(SECOND)))
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%payment_decisions%%'"
    with ThreadPoolExecutor(1) as pool:
        with get_engine("events").begin() as db:
            payments.accept(db, SECOND, who="ann", reason="paid twice")
            other = pool.submit(decide, payments.refuse, SECOND)
            wait_until(lambda: query(waiting), what="the second decision")
        with pytest.raises(WrongState, match="has been accepted"):
            other.result(30)
    assert query("SELECT accepted, who, reason FROM events.payment_decisions") == [(True, "ann", "paid twice")]
    assert query(LETTERS) == held()


def test_a_replay_alone_decides_nothing(query: Query) -> None:
    run(publish(paid(FIRST), paid(SECOND)))
    letters = [id for (id,) in query("SELECT id FROM events.dead_letters")]
    dead_letters.replay(letters, To(send), who="ann", terms=Terms(wait=False))
    assert (seen(query), query(LETTERS)) == (ONCE, held())


@pytest.mark.parametrize(
    "other",
    [paid(SECOND, transaction_id="pi_2"), paid(SECOND, payment_provider="paypal"),
     paid(SECOND).model_copy(update={"campaign_id": UUID(int=12)})],
    ids=["another payment", "another provider", "another campaign"],
)  # fmt: skip
def test_what_differs_is_another_payment(query: Query, other: DonationCompleted) -> None:
    run(publish(paid(FIRST), other))
    assert query(LETTERS) == []
    assert query("SELECT count(*) FROM analytics.donation_facts") == [(2,)]


def test_an_empty_transaction_tells_nothing(query: Query) -> None:
    run(publish(paid(FIRST, transaction_id=""), paid(SECOND, transaction_id="")))
    assert query(LETTERS) == []


def test_the_same_donation_again_is_no_other_donation(query: Query) -> None:
    run(publish(paid(FIRST), paid(SECOND), paid(FIRST)))
    assert (seen(query), query(LETTERS)) == (ONCE, held())


@pytest.mark.parametrize("spelling", [str, lambda id: id.urn, lambda id: str(id).upper(), lambda id: f"{{{id}}}"],
                         ids=["plain", "urn", "upper case", "braces"])  # fmt: skip
def test_it_is_found_however_ids_are_written_and_however_long_the_texts_are(query: Query, spelling: Any) -> None:
    run(publish(paid(FIRST, transaction_id="ü\n" * 500, payment_provider="p" * 1_000)))
    payload = json.loads(Event.of(paid(SECOND, transaction_id="ü\n" * 500, payment_provider="p" * 1_000)).payload_json)
    payload |= {"campaignId": spelling(WELLS), "donationId": spelling(SECOND)}
    query("SELECT events.publish_event('donation.completed', %s::jsonb, version => '2.0.0')", json.dumps(payload))
    run([at for (at,) in query("SELECT max(position) FROM events.events")])
    assert (seen(query), query(LETTERS)) == (ONCE, held())
    accept(SECOND)
    assert seen(query) == TWICE


def test_a_decision_is_by_somebody_for_a_reason_and_about_a_repeated_payment(query: Query) -> None:
    run(publish(paid(FIRST), paid(SECOND)))
    for wrong, error in ((FIRST, WrongState), (UUID(int=7), WrongState)):
        with pytest.raises(error):
            decide(payments.accept, wrong)
    with pytest.raises(WrongUse):
        decide(payments.refuse, SECOND, reason=" ")
    assert query("SELECT * FROM events.payment_decisions") == []


def test_it_is_asked_by_the_index(query: Query) -> None:
    """A log of millions of gifts is not read for each batch."""
    given = {"positions": "{1}", "keys": f"{{{UUID(int=1)}}}", "donations": f"{{{FIRST}}}"}
    with get_engine("events").begin() as db:
        db.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(db.exec_driver_sql(f"EXPLAIN {payments._REPEATED}", given).scalars())
    assert "events_payment_idx" in plan


@pytest.mark.timeout(900)
class TestCommand:
    """`fundlyhub payments`, with real workers."""

    @pytest.fixture(autouse=True)
    def world(self, platform: Platform) -> None:
        """Nothing in this process: relay and worker do it."""
        publish(registered(ME), registered(JOHN), campaign(WELLS, user_id=ME, title="Wells", slug="wells"))
        publish(paid(FIRST), *(paid(donation) for donation in (SECOND, THIRD)))
        platform.relay()
        platform.worker("writes,projections,notifications")
        wait_until(
            lambda: platform.value("SELECT count(*) FROM events.dead_letters") == 2 * len(TAKERS), what="letters"
        )

    def test_it_lists_accepts_and_refuses(self, platform: Platform) -> None:
        def command(*args: str, status: int = 0) -> Any:
            done = platform.run("payments", *args, "--json")
            assert done.returncode == status, done.stderr
            return json.loads(done.stdout) if status == 0 else done.stderr

        listed = command("list")
        assert [(one["donation_id"], one["first_id"], one["accepted"], len(one["held_by"])) for one in listed] == [
            (str(id), str(FIRST), None, len(TAKERS)) for id in (SECOND, THIRD)
        ]
        accepted = command("accept", str(SECOND), "--reason", "paid twice", "--by", "ann")
        assert (len(accepted["applied"]), accepted["failed"]) == (len(TAKERS), [])
        refused = command("refuse", str(THIRD), "--reason", "a double click", "--by", "bob")
        assert len(refused["discarded"]) == len(TAKERS)
        assert command("list") == []
        decided = [(one["donation_id"], one["accepted"], one["who"], one["reason"]) for one in command("list", "--all")]
        assert decided == [(str(SECOND), True, "ann", "paid twice"), (str(THIRD), False, "bob", "a double click")]
        assert platform.value("SELECT donation_count FROM analytics.campaign_stats_now") == 2
        table = platform.run("payments", "list", "--all").stdout
        assert "accepted by ann" in table and "refused by bob" in table
        assert "more than one donation" in command("accept", "00000000", "--reason", "x", status=2)
        assert "no repeated payment" in command("accept", str(FIRST), "--reason", "x", status=1)


def test_of_many_each_order_ends_alike(query: Query) -> None:
    gifts = publish(paid(FIRST), paid(SECOND), paid(THIRD), paid(SECOND, transaction_id="pi_2"))
    for order in itertools.islice(itertools.permutations(gifts), 0, None, 5):
        for position in order:
            run([position])
    assert query("SELECT donation_id FROM analytics.donation_facts ORDER BY 1") == [(SECOND,), (FIRST,)]
