"""One platform for all pages, which ends with them: relay, a worker for all queues, the README's first events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import SECRET, copy_of
from tests.docs.scenes import FIRST, streams
from tests.support.brokers import broker_place
from tests.support.command import dsns
from tests.support.platform import Platform, wait_until


@pytest.fixture(scope="module")
def stage(
    postgres: Postgres, template: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """The platform, ready."""
    folder = tmp_path_factory.mktemp("docs")
    with copy_of(postgres, template) as dsn, broker_place(valkey) as broker:
        variables = {
            **dsns(dsn),
            **SECRET,
            "FUNDLYHUB_BROKER_URL": broker,
            "FUNDLYHUB_REDIS_URL": valkey.url,
            "FUNDLYHUB_DATA_DIR": str(folder),
            "FUNDLYHUB_PROCESSORS": "",
            "COLUMNS": "200",
        }
        with Platform(variables, dsn, valkey, folder) as platform:
            yield _ready(platform, folder)


def _ready(platform: Platform, folder: Path) -> Platform:
    (folder / "examples").symlink_to(FIRST.parent)
    platform.relay()
    platform.worker("writes,projections,notifications,broadcasts")
    streams(platform.environment["FUNDLYHUB_REDIS_URL"])
    done = platform.run("events", "publish", str(FIRST))
    assert done.returncode == 0, done.stderr
    settled = "SELECT bool_and(state NOT IN ('queued', 'sending')) FROM app.notifications"
    wait_until(lambda: platform.applied("campaign_stats") >= 4 and platform.value(settled), what="the first events")
    return platform
