"""Our commands hang below `celery -A fundlyhub` too, but for those whose names are Celery's own."""

from __future__ import annotations

import tomllib

import pytest

from fundlyhub.cli import celery_plugin
from fundlyhub.cli.celery_plugin import CELERYS
from fundlyhub.cli.commands import COMMANDS
from tests.support import ROOT
from tests.support.command import fundlyhub


def test_each_command_has_its_entry_point() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["celery.commands"]
    assert points == {name: f"fundlyhub.cli.celery_plugin:{name}" for name in {*COMMANDS, "fundlyhub"} - CELERYS}
    assert {getattr(celery_plugin, name).name for name in points} == set(points)


@pytest.mark.chaos  # for its length
def test_it_does_the_same_there() -> None:
    broker = {"FUNDLYHUB_BROKER_URL": "redis://127.0.0.1:1/0"}
    for arguments in (("relay", "--help"), ("fundlyhub", "status", "--help")):
        below = fundlyhub("-A", "fundlyhub", *arguments, settings=broker, module="celery")
        alone = fundlyhub(*[one for one in arguments if one != "fundlyhub"], settings=broker)
        assert (below.returncode, below.stdout, below.stderr) == (0, alone.stdout, "")
    assert "No such command" in fundlyhub("-A", "fundlyhub", "nonsense", settings=broker, module="celery").stderr
