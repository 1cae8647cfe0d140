"""Which tests count as unit tests follows from what they use."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import Any

import pytest

from fundlyhub.embedded.valkey import Valkey
from tests.support.command import dsns, fundlyhub

NOTHING = [sys.executable, "-c", ""]


def is_unit(request: pytest.FixtureRequest) -> bool:
    """Whether the test that asks counts as a unit test."""
    return request.node.get_closest_marker("unit") is not None


@pytest.fixture
def number() -> int:
    """A value that needs nothing."""
    return 7


@pytest.fixture
def version() -> str:
    """What a process says."""
    return fundlyhub("--version", settings={}).stdout


@pytest.fixture
def by_name(request: pytest.FixtureRequest) -> Any:
    """A server that is asked for by its name."""
    return request.getfixturevalue("valkey")


def test_one_that_asks_for_nothing_is_one(request: pytest.FixtureRequest) -> None:
    assert is_unit(request)


def test_so_is_one_that_uses_a_harmless_part_of_a_module(request: pytest.FixtureRequest, number: int) -> None:
    assert dsns("here")["FUNDLYHUB_APP_DSN"] == "here"
    assert is_unit(request)


def test_one_that_asks_for_a_server_is_none(request: pytest.FixtureRequest, valkey: Valkey) -> None:
    assert not is_unit(request)


def test_nor_is_one_whose_fixture_starts_a_process(request: pytest.FixtureRequest, version: str) -> None:
    assert not is_unit(request)


def test_nor_is_one_whose_fixture_asks_for_a_server_by_name(request: pytest.FixtureRequest, by_name: Valkey) -> None:
    assert not is_unit(request)


@pytest.mark.parametrize("name", ["dsn", "valkey"])
def test_nor_is_one_that_is_told_the_name(request: pytest.FixtureRequest, name: str) -> None:
    assert request.getfixturevalue(name)
    assert not is_unit(request)


def test_nor_is_one_that_starts_a_process_itself(request: pytest.FixtureRequest) -> None:
    subprocess.run(NOTHING, check=True)
    assert not is_unit(request)


def test_nor_is_one_that_forks(request: pytest.FixtureRequest) -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
    assert not is_unit(request)


class TestInAClass:
    def _run(self) -> None:
        subprocess.run(NOTHING, check=True)

    def test_what_a_method_starts_counts(self, request: pytest.FixtureRequest) -> None:
        self._run()
        assert not is_unit(request)


def test_a_process_that_the_search_has_missed_fails_a_unit_test(request: pytest.FixtureRequest) -> None:
    assert is_unit(request)
    with pytest.raises(pytest.fail.Exception, match="counts as a unit test and starts a process"):
        importlib.import_module("subprocess").run(NOTHING, check=True)
