"""What the tests of dead letters share: the tables of the processors that misbehave."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dead_letters.command import Dlq
from tests.processing.conftest import Query, query
from tests.support.command import dsns

__all__ = ["query"]


@pytest.fixture
def variables(query: Query, settings: Any) -> dict[str, str]:
    """The environment of a command on the test's database."""
    own = {"FUNDLYHUB_BROKER_URL": settings.broker, "FUNDLYHUB_PROCESSORS": "tests.support.processors"}
    return {**dsns(settings.dsn("events")), **own, "COLUMNS": "250"}


@pytest.fixture
def dlq(variables: dict[str, str]) -> Dlq:
    return Dlq(variables)
