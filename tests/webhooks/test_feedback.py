"""What providers tell of messages: any order and any repetition ends in the same, and an old word does no harm."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from fundlyhub.database import get_engine
from fundlyhub.processors.notifications.delivery_reports.effects import Kind, Word, apply, changed
from fundlyhub.settings import Settings

HASH = "0123abcd"
KINDS: tuple[Kind, ...] = ("delivered", "complained", "undelivered", "unwanted", "bounced")


@pytest.fixture
def app(settings: Settings) -> Engine:
    """The App DB of a fresh platform."""
    return get_engine("app")


def message(app: Engine, state: str = "sent", reason: str | None = None) -> UUID:
    """A message in the ledger."""
    with app.begin() as db:
        found: UUID = db.exec_driver_sql(
            "INSERT INTO notifications (event_id, position, channel, recipient, template, transactional, state, reason)"
            " VALUES (%s, 1, 'email', 'x', 'welcome', true, %s, %s) RETURNING id",
            (uuid4(), state, reason),
        ).scalar_one()
    return found


def tell(app: Engine, *words: Word) -> dict[str, int]:
    with app.begin() as db:
        return dict(apply(db, words))


def known(app: Engine, id_: UUID) -> tuple[str, str | None]:
    with app.begin() as db:
        row = db.exec_driver_sql("SELECT state, reason FROM notifications WHERE id = %s", (id_,)).one()
    return row[0], row[1]


def suppressed(app: Engine) -> list[tuple[str, str]]:
    with app.begin() as db:
        return [tuple(row) for row in db.exec_driver_sql("SELECT address_hash, reason FROM suppressions")]


def word(id_: UUID, kind: Kind) -> Word:
    return Word(id_, kind, "email", "m-1", HASH)


@pytest.mark.parametrize(
    ("state", "reason", "moves"),
    [
        ("sent", None, set(KINDS)),
        ("sending", None, set(KINDS)),
        ("unknown", "its worker was lost", set(KINDS)),
        ("delivered", None, {"complained", "undelivered", "unwanted", "bounced"}),
        ("delivered", "complained", {"undelivered", "unwanted", "bounced"}),
        ("failed", "undelivered", {"unwanted", "bounced"}),
        ("failed", "unwanted", {"bounced"}),
        ("failed", "bounced", set()),
        ("failed", "sendgrid answered 400", set()),
        ("queued", None, set()),
        ("skipped", "opted out", set()),
    ],
)
def test_a_state_moves_only_forward(state: str, reason: str | None, moves: set[str]) -> None:
    assert {kind for kind in KINDS if changed(state, reason, kind)} == moves


def test_any_order_and_repetition_ends_in_the_same(app: Engine) -> None:
    for some in (KINDS[:2], (KINDS[0], KINDS[2]), (KINDS[0], KINDS[3]), (KINDS[2], KINDS[3]), KINDS):
        ends = set()
        for order in itertools.permutations(some):
            id_ = message(app)
            for kind in (*order, *order[:2]):
                tell(app, word(id_, kind))
            ends.add(known(app, id_))
        assert len(ends) == 1


def test_a_bounce_suppresses_the_address_and_a_complaint_too_but_less(app: Engine) -> None:
    id_ = message(app)
    assert tell(app, word(id_, "complained")) == {"complained": 1}
    assert suppressed(app) == [(HASH, "complained")]
    tell(app, word(id_, "bounced"))
    assert suppressed(app) == [(HASH, "bounced")]
    tell(app, word(message(app), "complained"))
    assert suppressed(app) == [(HASH, "bounced")]


def test_an_old_word_that_comes_again_suppresses_nothing_that_an_operator_has_lifted(app: Engine) -> None:
    id_ = message(app)
    tell(app, word(id_, "bounced"))
    with app.begin() as db:
        db.exec_driver_sql("DELETE FROM suppressions")
    assert tell(app, word(id_, "bounced")) == {"nothing new": 1}
    assert suppressed(app) == []


def test_a_bounce_that_may_pass_suppresses_nothing(app: Engine) -> None:
    id_ = message(app)
    tell(app, word(id_, "undelivered"))
    assert known(app, id_) == ("failed", "undelivered")
    assert suppressed(app) == []


def test_one_whom_the_provider_does_not_mail_any_more_is_suppressed_like_a_complaint(app: Engine) -> None:
    id_ = message(app)
    assert tell(app, word(id_, "unwanted")) == {"unwanted": 1}
    assert (known(app, id_), suppressed(app)) == (("failed", "unwanted"), [(HASH, "complained")])


def test_a_suppression_says_who_told_it_in_which_words_and_about_which_message(app: Engine) -> None:
    id_ = message(app)
    with app.begin() as db:
        db.exec_driver_sql("UPDATE notifications SET user_id = %s, provider = 'sendgrid'", (UUID(int=7),))
    tell(app, word(id_, "bounced")._replace(said="sendgrid: bounce 5.1.1"))
    with app.begin() as db:
        row = db.exec_driver_sql("SELECT told_by, said, user_id, notification_id FROM suppression_causes").one()
    assert tuple(row) == ("sendgrid", "sendgrid: bounce 5.1.1", UUID(int=7), id_)


def test_words_on_what_is_not_ours_are_counted(app: Engine) -> None:
    assert tell(app, word(uuid4(), "bounced")) == {"unknown": 1}


def test_six_requests_at_once_neither_wait_in_a_circle_nor_differ(app: Engine) -> None:
    ids = [message(app) for _ in range(40)]
    words = [word(id_, kind) for id_ in ids for kind in KINDS]
    ready = threading.Barrier(6)

    def run(seed: int) -> None:
        mine = Random(seed).sample(words, len(words))
        ready.wait(30)
        for start in range(0, len(mine), 40):
            tell(app, *mine[start : start + 40])

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(run, seed) for seed in range(6)]:
            future.result(60)
    assert {known(app, id_) for id_ in ids} == {("failed", "bounced")}
