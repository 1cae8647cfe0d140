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
    assert all(set(one) == {"channel", "address_hash", "reason", "since"} for one in found)
    return [(one["channel"], one["reason"]) for one in found]


def test_an_address_is_added_shown_as_a_hash_and_lifted_however_it_is_written(given: dict[str, str]) -> None:
    assert "Suppressed: none" in ran(given, "list").stdout
    added = ran(given, "add", "email", ADDRESS).stdout.split()[-1]
    assert added in ran(given, "list").stdout
    assert ran(given, "lift", "email", f"  {ADDRESS.upper()} ").stdout == f"Lifted: email {added}\n"
    assert ran(given, "lift", "email", ADDRESS).stdout == f"Was not suppressed: email {added}\n"
    assert kept(given) == []


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
