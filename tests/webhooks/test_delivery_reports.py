"""What providers told is stored, and takes effect once: after a kill, beside itself, and whatever stands before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from fundlyhub.database import get_engine
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.processors.notifications.delivery_reports.inbox import Waiting, is_late, store, take_up, waiting
from fundlyhub.settings import Settings
from fundlyhub.webhooks.background import TakingUp
from tests.support import ROOT
from tests.support.platform import wait_until
from tests.webhooks.test_feedback import known, message, suppressed, word


@pytest.fixture
def app(settings: Settings) -> Engine:
    """The App DB of a fresh platform."""
    return get_engine("app")


def stored(app: Engine, *ids: UUID) -> None:
    """A report of bounces."""
    with app.begin() as db:
        assert store(db, "sendgrid", [word(id_, "bounced") for id_ in ids])


def left(app: Engine) -> Waiting:
    with app.begin() as db:
        return waiting(db)


def test_a_kill_between_storing_and_applying_loses_nothing(app: Engine) -> None:
    id_ = message(app)
    stored(app, id_)
    killed = subprocess.run(
        [sys.executable, "-m", "tests.webhooks.take_up_and_die"], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert (known(app, id_), left(app).waiting) == (("sent", None), 1)
    assert take_up(app) == {"bounced": 1}
    assert (known(app, id_), left(app)) == (("failed", "bounced"), Waiting(0, 0, 0.0))


def test_four_at_once_apply_each_report_once(app: Engine) -> None:
    for _ in range(40):
        stored(app, message(app))
    with ThreadPoolExecutor(4) as pool:
        counts = [dict(one) for one in pool.map(lambda _: take_up(app), range(4))]
    assert sum(one.get("bounced", 0) for one in counts) == 40
    assert not any("nothing new" in one for one in counts)
    assert left(app).waiting == 0


def test_one_that_cannot_be_applied_is_kept_and_holds_up_neither_its_own_others_nor_the_next(app: Engine) -> None:
    good, next_ = message(app), message(app)
    with app.begin() as db:
        db.exec_driver_sql(
            "INSERT INTO delivery_reports (provider, words, bytes) VALUES ('sendgrid', jsonb_build_array("
            "  jsonb_build_array('no id', 'bounced', 'email', null, 'h', ''),"
            "  jsonb_build_array(%s::text, 'delivered', 'email', null, 'h', ''), 7), 100)",
            (str(good),),
        )
    stored(app, next_)
    assert take_up(app) == {"delivered": 1, "failed": 2, "bounced": 1}
    assert (known(app, good), known(app, next_)) == (("delivered", None), ("failed", "bounced"))
    assert left(app)[:2] == (0, 1)
    with app.begin() as db:
        ((words, error),) = db.exec_driver_sql("SELECT words, error FROM delivery_reports").all()
    assert (len(words), error) == (2, "TypeError")
    assert take_up(app) == {}


def test_no_more_is_stored_than_there_is_room_for(app: Engine) -> None:
    words = [word(message(app), "bounced")]
    with app.begin() as db:
        assert store(db, "sendgrid", words, most=100)
        assert not store(db, "sendgrid", words, most=100)
    take_up(app)
    with app.begin() as db:
        assert store(db, "sendgrid", words, most=100)
        assert store(db, "sendgrid", [])


def test_what_nobody_takes_up_a_worker_does_after_a_while(app: Engine) -> None:
    id_ = message(app)
    stored(app, id_)
    assert not EmailNotificationProcessor.has_more()
    execute(EmailNotificationProcessor, [])
    assert known(app, id_) == ("sent", None), "it is the webhooks' own, for now"
    with app.begin() as db:
        db.exec_driver_sql("UPDATE delivery_reports SET received_at = now() - interval '31 seconds'")
        assert is_late(db)
        assert waiting(db).oldest_seconds > 30
    assert EmailNotificationProcessor.has_more(), "so that the sweep wakes a worker"
    execute(EmailNotificationProcessor, [])
    assert known(app, id_) == ("failed", "bounced")
    assert len(suppressed(app)) == 1


def test_the_thread_goes_on_after_a_fault_of_the_database(app: Engine) -> None:
    def ddl(statement: str) -> None:
        with app.begin() as db:
            db.exec_driver_sql(statement)

    ddl("ALTER TABLE delivery_reports RENAME TO away")
    with TakingUp(app, pause=0.05):
        id_ = message(app)
        ddl("ALTER TABLE away RENAME TO delivery_reports")
        stored(app, id_)
        wait_until(lambda: known(app, id_) == ("failed", "bounced"), what="the report to be applied")


def test_an_outage_is_no_fault_of_a_report(app: Engine) -> None:
    stored(app, message(app))
    with pytest.raises(OperationalError):
        take_up(create_engine("postgresql+psycopg://x:x@127.0.0.1:1/x"))
    assert left(app)[:2] == (1, 0)


def test_a_table_that_is_missing_is_no_fault_of_a_report(app: Engine) -> None:
    stored(app, message(app))
    with app.begin() as db:
        db.exec_driver_sql("ALTER TABLE suppressions RENAME TO away")
    with pytest.raises(ProgrammingError):
        take_up(app)
    assert left(app)[:2] == (1, 0)
    with app.begin() as db:
        db.exec_driver_sql("ALTER TABLE away RENAME TO suppressions")
    take_up(app)
    assert len(suppressed(app)) == 1
