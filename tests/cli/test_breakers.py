"""`fundlyhub breakers`: what operators see of outside services, and how they open and close a breaker."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from fundlyhub.channels.breaker import DEFAULTS, SERVICES, Breaker, SharedStorage
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Snooze
from tests.channels.breakers import failed
from tests.support.command import Done, fundlyhub

SECRET = "s3cret-of-the-test"


@pytest.fixture
def settings(valkey: Valkey) -> Iterator[dict[str, str]]:
    """The environment of a platform whose Redis is empty."""
    url = valkey.database_url(5)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    yield {"FUNDLYHUB_REDIS_URL": url, "COLUMNS": "200"}


def twilio(settings: dict[str, str]) -> Breaker:
    """A worker's breaker."""
    return Breaker("twilio", SharedStorage("twilio", settings["FUNDLYHUB_REDIS_URL"]))


def document(done: Done) -> Any:
    """What a command printed as JSON, and nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.chaos  # for its length
def test_all_services_and_what_their_calls_came_to(settings: dict[str, str]) -> None:
    breaker = twilio(settings)
    breaker.call(lambda: 7)
    failed(breaker, times=2)
    found = {one["service"]: one for one in document(fundlyhub("breakers", "--json", settings=settings))}
    assert tuple(found) == SERVICES
    assert found["smtp"] == {
        "service": "smtp", "state": "closed", "since": None, "rest_left_seconds": None, "probing": False,
        "failures": 0, "calls": 0, "failures_in_a_row": 0, "reason": None, "who": None,
    }  # fmt: skip
    counted = found["twilio"]
    assert (counted["failures"], counted["calls"], counted["failures_in_a_row"]) == (2, 3, 2)
    failed(breaker, times=DEFAULTS.failures)
    done = fundlyhub("breakers", settings=settings)
    assert done.returncode == 0, done.stderr
    assert "twilio" in done.stdout
    assert "open" in done.stdout
    counted = {one["service"]: one for one in document(fundlyhub("breakers", "--json", settings=settings))}["twilio"]
    assert 0 < counted["rest_left_seconds"] <= 30
    assert counted["reason"] == "5 failures in a row, the last: down"


def test_opened_and_closed_by_hand(settings: dict[str, str]) -> None:
    breaker = twilio(settings)
    done = fundlyhub("breakers", "open", "twilio", "--reason", "they [move] house", settings=settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "`fundlyhub breakers close twilio --reason TEXT`" in done.stdout
    with pytest.raises(Snooze, match="open by hand"):
        breaker.check()
    assert "open by hand" in fundlyhub("breakers", settings=settings).stdout
    arguments = ("breakers", "close", "twilio", "--reason", "they are in", "--by", "ann")
    assert "is called again" in fundlyhub(*arguments, settings=settings).stdout
    assert "closed already" in fundlyhub(*arguments, settings=settings).stdout
    assert breaker.call(lambda: 7) == 7
    changes = document(fundlyhub("breakers", "history", "twilio", "--json", settings=settings))
    assert [(one["from"], one["to"], one["who"], one["reason"]) for one in changes] == [
        ("open by hand", "closed", "ann", "they are in"),
        ("closed", "open by hand", getpass.getuser(), "they [move] house"),
    ]
    assert "[move]" in fundlyhub("breakers", "history", "twilio", settings=settings).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("open", "nonsense", "--reason", "x"), "'nonsense' is not one of 'elasticsearch', 'fcm', 'sendgrid'"),
        (("close", "nonsense", "--reason", "x"), "'smtp', 'twilio'"),
        (("history", "nonsense"), "'nonsense' is not one of"),
        (("open", "twilio"), "Missing option '--reason'"),
        (("close", "twilio"), "Missing option '--reason'"),
    ],
)
def test_wrong_use_is_told_in_one_line(settings: dict[str, str], arguments: tuple[str, ...], said: str) -> None:
    done = fundlyhub("breakers", *arguments, settings=settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [(), ("--json",), ("open", "twilio", "--reason", "x"), ("history", "twilio")], ids=" ".join
)
class TestWithoutRedis:
    def test_that_is_not_set(self, arguments: tuple[str, ...]) -> None:
        done = fundlyhub("breakers", *arguments, settings={})
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("fundlyhub: FUNDLYHUB_REDIS_URL is not set")
        assert len(done.stderr.splitlines()) == 1

    def test_that_does_not_answer(self, arguments: tuple[str, ...]) -> None:
        settings = {"FUNDLYHUB_REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0"}
        done = fundlyhub("breakers", *arguments, settings=settings)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("fundlyhub: Redis at 127.0.0.1:1 failed: Connection refused; start it")
        assert len(done.stderr.splitlines()) == 1
        assert SECRET not in done.stderr
