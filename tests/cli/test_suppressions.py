"""`fundlyhub suppressions`: addresses that are not written to, which the command never shows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from fundlyhub.database import get_engine
from fundlyhub.settings import Settings
from tests.support.command import Done, dsns, fundlyhub

ADDRESS = "Ada@Example.org"


@pytest.fixture
def given(settings: Settings) -> dict[str, str]:
    """The environment of a fresh platform."""
    return {**dsns(settings.dsn("app")), "FUNDLYHUB_SECRET_KEY": settings.secret.decode(), "COLUMNS": "200"}


@pytest.fixture
def app(settings: Settings) -> Iterator[Engine]:
    yield get_engine("app")


def ran(given: dict[str, str], *args: str, input: bytes | None = None) -> Done:
    """A command that ends well and does not repeat the address."""
    done = fundlyhub("suppressions", *args, settings=given, input=input)
    assert (done.returncode, done.stderr) == (0, "")
    assert "example.org" not in done.stdout.casefold()
    return done


def kept(given: dict[str, str]) -> list[tuple[str, str]]:
    """What is suppressed, by channel and reason."""
    found = json.loads(ran(given, "list", "--json").stdout)
    keys = {"channel", "address_hash", "user_id", "reason", "by", "cause", "since"}
    assert all(set(one) == keys for one in found)
    return [(one["channel"], one["reason"]) for one in found]


def test_an_address_is_added_shown_as_a_hash_and_lifted_however_it_is_written(given: dict[str, str]) -> None:
    assert "Suppressed: none" in ran(given, "list").stdout
    added = ran(given, "add", "email", ADDRESS).stdout.split()[-1]
    shown = ran(given, "list").stdout
    assert added[:8] in shown
    assert added not in shown, "as other lists show ids"
    assert ran(given, "lift", "email", f"  {ADDRESS.upper()} ").stdout == f"Lifted: email {added}\n"
    assert ran(given, "lift", "email", ADDRESS).stdout == f"Was not suppressed: email {added}\n"
    assert kept(given) == []


def bad_hour(app: Engine) -> None:
    """What a mail server told of four addresses two hours ago, and of one a day ago."""
    with app.begin() as db:
        db.exec_driver_sql("""
            INSERT INTO suppression_causes (channel, address_hash, reason, told_by, said, told_at)
            SELECT 'email', name, 'bounced', 'smtp', 'smtp answered 550 5.1.1 to RCPT',
                   now() - hours * interval '1 hour'
            FROM (VALUES ('a', 2), ('b', 2), ('c', 2), ('d', 2), ('old', 24)) AS given(name, hours)
        """)
        db.exec_driver_sql("INSERT INTO suppressions SELECT channel, address_hash, reason FROM suppression_causes")


def test_a_bad_hour_is_shown_first_and_then_undone_with_who_did_it(given: dict[str, str], app: Engine) -> None:
    bad_hour(app)
    hour = ("undo", "--since", "3h", "--until", "1h", "--reason", "bounced", "--told-by", "smtp", "--by", "ann")
    shown = json.loads(ran(given, *hour, "--json").stdout)
    assert (shown["dry_run"], shown["lifted"], shown["freed"]) == (True, 4, 4)
    assert len(kept(given)) == 5
    assert "4 addresses would be written to again" in ran(given, *hour).stdout
    done = json.loads(ran(given, *hour, "--yes", "--json").stdout)
    assert (done["dry_run"], done["lifted"]) == (False, 4)
    assert {one["cause"] for one in done["causes"]} == {"smtp answered 550 5.1.1 to RCPT"}
    assert done["skipped_messages"] == {"count": 0, "ids": []}
    assert kept(given) == [("email", "bounced")]
    assert "0 addresses are written to again" in ran(given, *hour, "--yes").stdout
    lifted = json.loads(ran(given, "list", "--lifted", "--json").stdout)
    assert {(one["address_hash"], one["lifted_by"]) for one in lifted} == {(name, "ann") for name in "abcd"}


def test_the_list_is_filtered_by_time_channel_reason_and_by_whom(given: dict[str, str], app: Engine) -> None:
    bad_hour(app)
    ran(given, "add", "sms", "+12025550101", "--reason", "complained", "--by", "ann")

    def hashes(*args: str) -> int:
        return len(json.loads(ran(given, "list", "--json", *args).stdout))

    assert hashes("--since", "3h", "--until", "1h") == hashes("--by", "smtp", "--since", "3h") == 4
    assert hashes("--channel", "sms") == hashes("--reason", "complained") == hashes("--by", "ann") == 1
    assert hashes("--since", "2001-01-01T10:00+01:00", "--until", "2001-01-02") == 0
    assert "smtp answered 550 5.1.1 to RCPT" in ran(given, "list").stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [((), "--since"), (("--since", "1h", "--until", "2h"), "--until"), (("--since", "yesterday"), "write it as")],
)
def test_an_undo_without_bounds_is_wrong_use(given: dict[str, str], args: tuple[str, ...], said: str) -> None:
    done = fundlyhub("suppressions", "undo", *args, settings=given)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr


def test_twice_is_once_and_a_bounce_is_not_weakened_by_a_complaint(given: dict[str, str]) -> None:
    for reason, now in (("complained", "complained"), ("bounced", "bounced"), ("complained", "bounced")):
        ran(given, "add", "sms", "+1 (202) 555-0101", "--reason", reason)
        assert kept(given) == [("sms", now)]


def test_an_address_comes_from_stdin_so_that_no_shell_remembers_it(given: dict[str, str], app: Engine) -> None:
    ran(given, "add", "email", "-", input=f"{ADDRESS}\n".encode())
    assert kept(given) == [("email", "bounced")]
    with app.begin() as db:
        assert ADDRESS.casefold() not in str(db.exec_driver_sql("SELECT * FROM suppressions").all()).casefold()


@pytest.mark.parametrize(
    ("channel", "address"),
    [("email", "nobody"), ("email", ""), ("sms", "0170123"), ("push", "two words"), ("push", "")],
)
def test_what_is_no_address_is_wrong_use_and_not_repeated(given: dict[str, str], channel: str, address: str) -> None:
    done = fundlyhub("suppressions", "add", channel, address, settings=given)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"no address of the channel {channel}" in done.stderr
    assert not address or address not in done.stderr
