"""What is told of an error: names of our own schema and limits of our own, and never a value of an event."""

from __future__ import annotations

import errno

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import get_engine
from fundlyhub.errors import Transient
from fundlyhub.processing.dead_letters import describe, fingerprint, reason
from fundlyhub.settings import Settings

SECRET = "ada.lovelace@example.org"


def failed(sql: str) -> BaseException:
    """What the database says of a statement."""
    with pytest.raises(DBAPIError) as caught, get_engine("analytics").connect() as db:
        db.exec_driver_sql(sql)
    return caught.value


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM campaign_totals", 'relation "campaign_totals" does not exist'),
        ("SELECT * FROM elsewhere.totals", 'relation "elsewhere.totals" does not exist'),
        ("SELECT t.amont FROM processed_events t", "column t.amont does not exist"),
        ("SELECT no_such_thing(1)", "function no_such_thing(integer) does not exist"),
        ("CREATE TABLE elsewhere.totals ()", 'schema "elsewhere" does not exist'),
    ],
)
def test_what_is_missing_is_named(settings: Settings, sql: str, told: str) -> None:
    error = failed(sql)
    assert describe(error).endswith(told)
    assert told in reason(error)


@pytest.mark.parametrize(
    "sql",
    [
        f'SELECT "{SECRET}" FROM processed_events',  # a value that lacks its quotes is no name
        "SELECT lovelace FROM processed_events",
        f'SELECT * FROM "{SECRET}"',
        f"SELECT '{SECRET}'::int",
    ],
)
def test_a_value_in_a_statement_is_not_told(settings: Settings, sql: str) -> None:
    error = failed(sql)
    assert "lovelace" not in describe(error) + reason(error)
    assert "SQLSTATE" in describe(error)


def test_limits_of_our_own_name_their_setting(settings: Settings) -> None:
    assert "FUNDLYHUB_STATEMENT_TIMEOUT" in describe(failed("SET statement_timeout = 1; SELECT pg_sleep(1)"))
    assert "SOFT_TIME_LIMIT" in describe(SoftTimeLimitExceeded())


def test_an_error_of_the_system_says_what_its_number_means_and_not_which_file(settings: Settings) -> None:
    assert describe(FileNotFoundError(errno.ENOENT, SECRET, SECRET)) == "FileNotFoundError: No such file or directory"


def test_a_reason_names_the_place_of_an_error_whose_text_is_withheld() -> None:
    def handle() -> None:
        raise KeyError(SECRET)

    with pytest.raises(KeyError) as caught:
        handle()
    assert reason(caught.value) == (
        "KeyError: text withheld, since it may hold people's data (in test_faults.py:handle)"
    )


def test_a_reason_is_one_printable_line_of_limited_length() -> None:
    text = reason(Transient("a\x1b[31m\nb" + "c" * 10_000))
    assert text.startswith("a [31m b")
    assert len(text) == 500


def test_numbers_and_ids_in_our_texts_make_no_other_fault() -> None:
    def of(text: str) -> str:
        return fingerprint("p", Transient(text), text)

    one = of("campaign 4f8dd756-8f00-4aaa-bbbb-1234567890ab is not there, 3 tries")
    assert one == of("campaign 00000000-8f00-4aaa-bbbb-1234567890ab is not there, 12 tries")
    assert one != of("donation 4f8dd756-8f00-4aaa-bbbb-1234567890ab is not there, 3 tries")
