"""What no event may hold, and that no text about a fault repeats a value."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundlyhub import InvalidEvent
from fundlyhub.events.rules import MAX_DEPTH, check_json, parse_json


def nested(depth: int, leaf: Any = 1) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": "x\x00"}, "payload.a: must not contain U+0000 or a lone surrogate"),
        ({"a": ["x", "\ud800"]}, "payload.a[1]: must not contain U+0000 or a lone surrogate"),
        ({"a": {"x\x00": 1}}, "payload.a: a key must not contain U+0000 or a lone surrogate"),
        ({"\udfff": 1}, "payload: a key must not contain U+0000 or a lone surrogate"),
        ({1: 1}, "payload: a key must not contain U+0000 or a lone surrogate"),
        ({"a": float("nan")}, "payload.a: must be a finite number"),
        ({"a": Decimal("NaN")}, "payload.a: must be a finite number"),
        ({"a": Decimal("sNaN")}, "payload.a: must be a finite number"),
        ({"a": float("inf")}, "payload.a: must be a finite number"),
        ({"a": Decimal("-Infinity")}, "payload.a: must be a finite number"),
        ({"a": Decimal("1e99999999")}, "payload.a: must not have more than 300 digits"),
        ({"a": Decimal("1e-99999999")}, "payload.a: must not have more than 300 digits"),
        ({"a": Decimal("0e-99999999")}, "payload.a: must not have more than 300 digits"),
        (nested(MAX_DEPTH + 1), "payload: must not be nested deeper than 32 levels"),
        ({"someone@example.org": {"b": "\x00"}}, "payload.?.b: must not contain U+0000 or a lone surrogate"),
    ],
)
def test_what_the_log_cannot_hold_is_refused_with_its_place(value: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        check_json(value, path="payload")
    assert caught.value.reasons == (reason,)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, 1e-300, Decimal("0.001"), Decimal("1e300"), "é😀\n", {"a": [{}, []]}, nested(MAX_DEPTH)],
)
def test_all_else_passes(value: Any) -> None:
    check_json(value, path="payload")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "a: stands twice in one object"),
        ('{"x": {"a b": 1, "a b": 2}}', "?: stands twice in one object"),
        ('{"a": NaN}', "must not hold NaN"),
        ('{"a": -Infinity}', "must not hold -Infinity"),
        ('{"a": 1e400}', "must not hold numbers of more than 300 digits"),
        ('{"a": 1e-99999999}', "must not hold numbers of more than 300 digits"),
        ('{"a": 1e99999999999999999999}', "must not hold numbers of more than 300 digits"),
        ('{"a": 1e-99999999999999999999}', "must not hold numbers of more than 300 digits"),
        ("9" * 5_000, "must not hold such large numbers"),
        ('{"a": }', "is no JSON: Expecting value at character 7"),
        ("", "is no JSON: Expecting value at character 1"),
        (b'{"a": "\xff"}', "must be UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "must be UTF-8"),
        ("[" * 200_000, "must not be nested deeper than 32 levels"),
    ],
)
def test_json_text_is_read_strictly(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        parse_json(text)
    assert caught.value.reasons == (reason,)


def test_numbers_with_a_point_are_exact() -> None:
    assert parse_json('{"a": 0.10, "b": 3, "c": 1E2}') == {"a": Decimal("0.10"), "b": 3, "c": Decimal("100")}
    assert str(parse_json("0.10")) == "0.10"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda leaf: st.lists(leaf, max_size=4)))
def test_what_passes_the_rules_survives_the_way_through_json(value: Any) -> None:
    try:
        check_json(value, path="payload")
    except InvalidEvent:
        return
    assert parse_json(json.dumps(value).encode()) == value
