"""Tokens: made by the owner, shown once, bounded by their user, and their last use kept to a minute."""

from __future__ import annotations

import json
import os

import pytest

from fundlyhub.console import tokens
from fundlyhub.console.levels import Level
from fundlyhub.console.tokens import PREFIX, Bearer, Token
from fundlyhub.database import decisions, get_engine
from fundlyhub.errors import WrongState, WrongUse
from tests.console.callers import new_token
from tests.console.site import Site
from tests.support.command import run


def console(*args: str) -> str:
    """What `fundlyhub console ARGS` prints."""
    done = run("fundlyhub", ["console", *args], dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_name(name: str) -> Token:
    with get_engine("events").begin() as db:
        return next(one for one in tokens.listed(db) if one.name == name)


def test_the_command_makes_lists_and_disables_one(site: Site) -> None:
    token = console("token", "add", "nightly", "--user", "operator", "--days", "7", "--by", "ann").strip()
    assert token.startswith(PREFIX)
    with get_engine("events").begin() as db:
        assert tokens.find(db, token) == Bearer("operator", "nightly", "operator")
    listed = console("token", "list", "--json")
    (one,) = [one for one in json.loads(listed) if one["name"] == "nightly"]
    assert (one["user"], one["level"], one["disabled_at"]) == ("operator", "operator", None)
    assert token not in listed
    console("token", "disable", "nightly", "--by", "ann")
    with get_engine("events").begin() as db:
        assert tokens.find(db, token) is None
        found = decisions.page(db, "console", who="ann").lines
    assert [(one.about, one.action) for one in found] == [("operator", "token disabled"), ("operator", "token added")]


@pytest.mark.parametrize(
    ("name", "user", "days", "level", "error"),
    [
        ("Nightly", "operator", 7, None, WrongUse), ("a/b", "operator", 7, None, WrongUse),
        ("n", "nobody", 7, None, WrongUse), ("n", "operator", 0, None, WrongUse),
        ("n", "operator", 367, None, WrongUse),
        ("n", "operator", 7, "privacy", WrongUse), ("twice", "operator", 7, "viewer", WrongState),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    site: Site, name: str, user: str, days: int, level: Level | None, error: type[Exception]
) -> None:
    with get_engine("events").begin() as db:
        if name == "twice" and "twice" not in {one.name for one in tokens.listed(db)}:
            tokens.add(db, name, user, days=days, level=level, who="test")
        with pytest.raises(error):
            tokens.add(db, name, user, days=days, level=level, who="test")


def test_its_last_use_is_written_once_a_minute(site: Site) -> None:
    token = new_token("viewer")

    def use() -> str:
        with get_engine("events").begin() as db:
            found = tokens.find(db, token)
        assert found is not None
        return found.token

    assert of_name(use()).used_at is not None
    first = of_name(use()).used_at
    assert of_name(use()).used_at == first
    with get_engine("events").begin() as db:
        db.exec_driver_sql("UPDATE events.console_tokens SET used_at = used_at - interval '2 minutes'")
    assert of_name(use()).used_at != first
