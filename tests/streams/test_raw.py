"""What quarantine keeps: the fields as they came, whatever bytes they are, and no secret."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundlyhub.streams.entry import MAX_KEPT, Entry
from fundlyhub.streams.raw import from_json, to_json
from tests.streams.entries import Said, entry, whole

SECRET = "s3cret"


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=50))))
def test_all_bytes_come_back(fields: list[tuple[bytes, bytes]]) -> None:
    kept = to_json(Entry("events", "1-0", tuple(fields)))
    assert from_json(json.loads(json.dumps(kept))) == tuple(fields)
    assert not any("\0" in said for pair in kept for said in pair)


def test_what_has_no_secret_stays_to_the_letter() -> None:
    text = '{"a": 1e400, "a": NaN, "passcodes": "x",  "method":"passcode", '
    kept = to_json(entry(whole(payload=text)))
    assert dict(kept)["payload"] == text


@pytest.mark.parametrize(
    "said",
    [
        whole(payload=f'{{"passcode": "{SECRET}", "title": "kept"'),
        whole(payload=f'{{"passcode": "{SECRET}\\"{SECRET}", "title": "kept"}}'),
        whole(payload=f'{{"passcode":"{SECRET}'),
        whole(payload=f'{{"title": "kept", "link_token_hash" : "{SECRET}"}}'),
        whole(payload=f'{{"title": "kept", "pass\\u0063ode": "{SECRET}"}}'),
        whole(payload=f'{{"title": "kept", "passcode": {{"value": "{SECRET}"}}}}'),
        whole(payload=f'{{"title": "kept", "passcode": ["{SECRET}", "{SECRET}"'),
        {"data": json.dumps({"title": "kept", "payload": json.dumps({"passcode": f'{SECRET}"{SECRET}', "n": 1})})},
        {"passcode": SECRET, "title": "kept"},
        whole(type="user.logged_in", payload=f'{{"sessionId": "{SECRET}"'),
        whole(type="no type", payload=f'{{"sessionId": "{SECRET}"'),
        whole(payload=f'{{"passcode": "{SECRET}", "title": "'.encode() + b'\xff"}'),
        whole(payload='{"kept":' * 3_000 + f'{{"passcode": ["{SECRET}"]}}' + "}" * 3_000),
    ],
)
def test_secrets_are_taken_out_of_whatever_it_is(said: Said) -> None:
    kept = to_json(entry(said))
    shown = str(from_json(kept))
    assert SECRET not in shown
    assert "removed" in shown or "kept" in shown


def test_a_number_that_is_a_secret_goes_alone() -> None:
    kept = dict(to_json(entry(whole(payload='{"passcode": 1234, "title": "kept", "n": 1.10'))))
    assert kept["payload"] == '{"passcode": "[removed]", "title": "kept", "n": 1.10'


def test_a_session_of_a_search_is_no_secret() -> None:
    text = '{"query": "wells", "sessionId": "7b8f1f2e-0f6e-4a86-9d6b-5b4c1e2d3f40", '
    assert dict(to_json(entry(whole(type="search.query.submitted", payload=text))))["payload"] == text


@pytest.mark.parametrize("text", ['"passcode"', "\\", '"passcode":', '"passcode": \\"', '{"passcode":', " "])
def test_a_hostile_text_is_looked_through_in_no_time(text: str) -> None:
    began = time.monotonic()
    to_json(entry(whole(payload=text * (1_000_000 // len(text)))))
    assert time.monotonic() - began < 5


def test_of_a_huge_entry_the_beginning_is_kept() -> None:
    kept = to_json(entry({"a": b"x" * MAX_KEPT, "b": b"y"}))
    assert [(name, len(value)) for name, value in kept] == [("a", MAX_KEPT)]
