"""What starting costs: which modules a command or a service that publishes loads, and what workers do before a fork."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from pydantic.errors import PydanticSchemaGenerationError

from fundlyhub.events.catalogue import index
from fundlyhub.events.payload import Line, Payload
from fundlyhub.processors import warm_up
from tests.support import ROOT

HELP = """
import sys
from fundlyhub.cli.main import cli
cli.main(["--help"], prog_name="fundlyhub", standalone_mode=False)
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""
HEAVY = {"alembic", "celery", "kombu", "psycopg", "pydantic", "redis", "rich", "sqlalchemy", "structlog"}
PUBLISH = "from fundlyhub import DonationCompleted, publish_event"
THEIRS = "import psycopg, sqlalchemy.orm; from pydantic import BaseModel"
WARM = """
import sys
from celery.signals import worker_init
import fundlyhub.celery
from fundlyhub.events.catalogue import PAYLOADS
from fundlyhub.processors import warm_up
complete = lambda: sum(payload.__pydantic_complete__ for payload in PAYLOADS.values())
late = lambda: sum(name in sys.modules for name in warm_up._LATE)
before = complete()
(handler,) = (one for one in worker_init._live_receivers(None) if one.__name__ == "_warm_up")
handler()
print(before, complete() == len(PAYLOADS), late() == len(warm_up._LATE))
"""


def printed(code: str) -> str:
    environment = {**os.environ, "FUNDLYHUB_BROKER_URL": "amqp://nobody@127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def processor_time(code: str) -> float:
    """Seconds that an interpreter takes for this."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return usage.ru_utime + usage.ru_stime


def test_the_help_loads_no_driver_and_no_framework() -> None:
    shown = printed(HELP)
    assert "Show the progress of the relay and the processors." in shown
    assert not HEAVY & set(shown.split())


@pytest.mark.chaos  # for its length
def test_only_migrations_load_alembic() -> None:
    code = "import sys, fundlyhub.cli.status, fundlyhub.cli.health, fundlyhub.celery; print('alembic' in sys.modules)"
    assert printed(code) == "False\n"


@pytest.mark.chaos  # for its length
def test_a_service_that_publishes_pays_little_more_than_its_libraries() -> None:
    turns = [(processor_time(THEIRS), processor_time(PUBLISH)) for _ in range(5)]
    theirs, ours = (min(times) for times in zip(*turns, strict=True))
    assert ours < 1.5 * theirs


@pytest.mark.chaos  # for its length
def test_a_worker_loads_and_builds_everything_before_it_forks() -> None:
    assert printed(WARM) == "0 True True\n"


def test_what_processors_import_late_is_what_a_worker_loads_before() -> None:
    late = set()
    for path in (ROOT / "fundlyhub" / "processors").rglob("*.py"):
        late |= imported_in_functions(path)
    assert late == set(warm_up._LATE) - {"email_validator"}  # the fields of payloads import that one


def imported_in_functions(path: Path) -> set[str]:
    """The modules that functions of a file import."""
    found = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            found |= {one.module for one in ast.walk(function) if isinstance(one, ast.ImportFrom) and one.module}
    return found


def test_threads_that_use_a_payload_class_first_at_once_all_get_the_same_validator() -> None:
    class CampaignPraised(Payload, type="campaign.praised", aggregate=("campaign", "campaign_id")):
        campaign_id: UUID
        words: Line | None = None

    together, campaign = Barrier(8), uuid4()

    def use(_: int) -> CampaignPraised:
        together.wait(30)
        return CampaignPraised(campaign_id=campaign, words="well done")

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(use, range(8)))
    assert {one.model_dump_json() for one in made} == {f'{{"campaignId":"{campaign}","words":"well done"}}'}


def test_a_payload_class_that_cannot_be_built_is_refused_when_it_is_registered() -> None:
    class CampaignPraised(Payload, type="campaign.praised"):
        words: ThreadPoolExecutor

    with pytest.raises(PydanticSchemaGenerationError):
        index.add(CampaignPraised)
    assert ("campaign.praised", "1.0.0") not in index.PAYLOADS
