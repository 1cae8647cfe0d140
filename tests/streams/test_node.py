"""A publisher and a subscriber in Node.js: each event arrives once, whichever way it comes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path
from pydantic import SecretStr

from fundlyhub import publish_events
from fundlyhub.database import connect
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.relay.mirror import Mirror, take
from fundlyhub.settings import Settings
from tests.streams.streams import Streams
from tests.support.make import completed

HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with the two programs and what they need, fetched once; skipped where that cannot be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js is not installed (Debian: apt-get install nodejs npm)")
    wanted = (HERE / "package.json").read_bytes()
    folder = user_cache_path("fundlyhub-tests") / f"node-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            made = Path(fresh) / "made"
            made.mkdir()
            (made / "package.json").write_bytes(wanted)
            npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--fetch-retries=1", "--no-package-lock"]
            if subprocess.run(npm, cwd=made, capture_output=True, timeout=90).returncode:
                pytest.skip("npm cannot fetch the packages redis and pg: is there a network?")
            if not folder.exists():  # another run may have been faster
                made.rename(folder)
    return folder


def run(packages: Path, program: str, *args: str) -> Any:
    """What a program prints, which is one JSON document."""
    (packages / program).write_bytes((HERE / program).read_bytes())
    done = subprocess.run(["node", program, *args], cwd=packages, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_it_publishes_in_each_layout_and_by_sql_arrives_once(streams: Streams, packages: Path) -> None:
    streams.ingest()
    made = run(packages, "publisher.js", streams.url, streams.dsn)
    streams.wait_taken(len(made["named"]) + made["unnamed"], made["broken"])
    assert set(made["named"]) < set(streams.ids())
    kinds = streams.platform.value("SELECT array_agg(type ORDER BY type) FROM events.events")
    assert kinds == ["campaign.access.checked"] * 2 + ["donation.initiated"] * 3


def test_it_sees_what_is_mirrored(settings: Settings, valkey: Valkey, packages: Path) -> None:
    url = valkey.database_url(5)
    streams = {"streams_url": SecretStr(url), "mirror": "donation.completed"}
    with connect("events", autocommit=True) as db:
        cursor = take(db)
        events = publish_events(completed() for _ in range(5))
        Mirror(settings.model_copy(update=streams)).mirror(cursor)
    seen = run(packages, "subscriber.js", url, "events:donation.completed", "5")
    assert [id for id, _ in seen] == [str(event.id) for event in events]
    assert all(set(said) == {"donationId", "campaignId", "amount", "currency"} for _, said in seen)
