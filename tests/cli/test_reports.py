"""`fundlyhub notifications reports`: delivery reports that failed are listed, retried and discarded."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from fundlyhub.database import get_engine
from fundlyhub.processors.notifications.delivery_reports.inbox import store, take_up, waiting
from fundlyhub.settings import Settings
from tests.support.command import Done, dsns, fundlyhub
from tests.webhooks.test_feedback import known, message, word

SPOILT = """
    UPDATE delivery_reports SET words = jsonb_set(words, '{0,1}', %s::jsonb) WHERE id = (SELECT max(id) FROM
    delivery_reports)
"""


@pytest.fixture
def app(settings: Settings) -> Engine:
    """The App DB of a fresh platform."""
    return get_engine("app")


def reports(app: Engine, settings: Settings, *args: str) -> Done:
    """A command's end."""
    variables = {**dsns(settings.dsn("app")), "COLUMNS": "120"}
    return fundlyhub("notifications", "reports", *args, settings=variables)


def listed(app: Engine, settings: Settings, *args: str) -> list[dict[str, Any]]:
    done = reports(app, settings, "list", "--json", *args)
    assert (done.returncode, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def failed(app: Engine) -> UUID:
    """A message whose report says what this release does not know."""
    id_ = message(app)
    with app.begin() as db:
        store(db, "sendgrid", [word(id_, "bounced")])
        db.exec_driver_sql(SPOILT, ('"evaporated"',))
    assert take_up(app) == {"failed": 1}
    return id_


def mended(app: Engine) -> None:
    """Stands for a release that can read it."""
    with app.begin() as db:
        db.exec_driver_sql(SPOILT, ('"bounced"',))


def test_a_failed_report_is_listed_and_applied_after_a_fix(app: Engine, settings: Settings) -> None:
    assert "none" in reports(app, settings, "list").stdout
    id_ = failed(app)
    (found,) = listed(app, settings)
    assert (found["provider"], found["error"], found["messages"]) == ("sendgrid", "KeyError", [str(id_)])
    report = str(found["id"])

    again = reports(app, settings, "retry", report, "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout) == {"applied": [], "failed": [{"id": int(report), "error": "KeyError"}],
                                        "unknown": []}  # fmt: skip
    assert known(app, id_) == ("sent", None)

    mended(app)
    done = reports(app, settings, "retry", "--all")
    assert (done.returncode, done.stdout) == (0, "1 applied, 0 failed again\n")
    assert known(app, id_) == ("failed", "bounced")
    assert listed(app, settings) == []


def test_a_discarded_report_rests_with_who_did_it_and_why(app: Engine, settings: Settings) -> None:
    id_ = failed(app)
    done = reports(app, settings, "discard", "--all", "--reason", "a test of theirs", "--by", "ann")
    assert (done.returncode, done.stdout) == (0, "1 discarded\n")
    assert listed(app, settings) == []
    (found,) = listed(app, settings, "--discarded")
    assert (found["discarded_by"], found["discard_reason"]) == ("ann", "a test of theirs")
    assert "a test of theirs" in reports(app, settings, "list", "--discarded").stdout
    with app.begin() as db:
        assert waiting(db)[:2] == (0, 0), "neither waits nor is counted as failed"
    mended(app)
    assert take_up(app) == {}
    unknown = reports(app, settings, "retry", str(found["id"]))
    assert (unknown.returncode, unknown.stderr) == (1, f"{found['id']}: there is no such failed report\n")
    assert known(app, id_) == ("sent", None)


def test_a_discarded_report_takes_no_room(app: Engine, settings: Settings) -> None:
    failed(app)
    words = [word(uuid4(), "bounced")]
    with app.begin() as db:
        assert not store(db, "sendgrid", words, most=120)
    assert reports(app, settings, "discard", "--all", "--reason", "x").returncode == 0
    with app.begin() as db:
        assert store(db, "sendgrid", words, most=120)


@pytest.mark.parametrize("args", [("retry",), ("retry", "1", "--all"), ("discard", "1"), ("discard", "--reason", "x")])
def test_what_is_meant_and_why_must_be_said(app: Engine, settings: Settings, args: tuple[str, ...]) -> None:
    done = reports(app, settings, *args)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
