"""Redis and brokers of every kind: what works is used by all parts, what does not says why in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from fundlyhub import publish_events
from fundlyhub.embedded.valkey import Valkey
from tests.channels.conftest import certificate as certificate
from tests.support.make import search
from tests.support.platform import Platform, Process, wait_until
from tests.support.processors import TABLES
from tests.support.valkeys import clustered, valkey_at, with_tls

NOT_TRUSTED = "its certificate is not accepted (self-signed certificate)"
CLUSTER = "it is a node of a cluster; Sentinel and Cluster are not supported"

pytestmark = pytest.mark.parametrize("platform", ["valkey"], indirect=True)


def use(platform: Platform, url: str) -> None:
    """From here on the broker and Redis are there."""
    platform.environment |= {"FUNDLYHUB_BROKER_URL": url, "FUNDLYHUB_REDIS_URL": url}


def assert_all_parts_work(platform: Platform) -> None:
    platform.execute(TABLES)
    relay, worker, ingest = platform.relay(), platform.worker(), platform.start("ingest", INGEST, {})
    publish_events([search("one"), search("two")])
    platform.wait_applied("test_count", 2)
    wait_until(lambda: ingest.said("connected: reading"), what="the ingest")
    for role in ("relay", "ingest"):
        health = platform.run("health", "--role", role)
        assert health.returncode == 0, health.stdout
    for command in (("breakers",), ("relay", "status"), ("relay", "parked", "list"), ("status",)):
        done = platform.run(*command)
        assert done.returncode == 0, done.stderr
    assert [one.terminate() for one in (relay, worker, ingest)] == [0, 0, 0]


INGEST = [sys.executable, "-m", "fundlyhub", "ingest"]


@pytest.mark.chaos  # for its length
def test_a_socket_serves_all_parts(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "a server.sock"
    with valkey_at(f"unix://{quote(str(path))}", tmp_path, "--port", "0", "--unixsocket", str(path)) as url:
        use(platform, url)
        assert_all_parts_work(platform)


@pytest.mark.chaos  # for its length
def test_tls_serves_all_parts_where_its_certificate_is_trusted(
    platform: Platform, valkey: Valkey, certificate: Path
) -> None:
    with with_tls(urlsplit(valkey.url).port or 0, certificate) as port:
        password = urlsplit(valkey.url).password
        credentials = f":{password}@" if password else ""
        use(platform, f"rediss://{credentials}127.0.0.1:{port}/0?ssl_ca_certs={quote(str(certificate))}")
        assert_all_parts_work(platform)


@pytest.mark.chaos  # for its length
def test_a_certificate_that_is_not_trusted_is_named_as_the_reason(
    platform: Platform, valkey: Valkey, certificate: Path
) -> None:
    with with_tls(urlsplit(valkey.url).port or 0, certificate) as port:
        use(platform, f"rediss://:s3cret@127.0.0.1:{port}/0")
        health = platform.run("health")
        assert health.returncode == 1
        assert health.stdout.count("self-signed") >= 2, health.stdout
        publish_events([search("one")])
        processes = [platform.relay(), platform.launch_worker("projections"), platform.start("ingest", INGEST, {})]
        for process in processes:
            wait_until(lambda process=process: process.said(NOT_TRUSTED), what="the reason")  # type: ignore[misc]
            assert "s3cret" not in process.log.read_text()
        for command in (("breakers",), ("relay", "parked", "list")):
            assert_refused(platform, command, NOT_TRUSTED, 1)


def assert_refused(platform: Platform, command: tuple[str, ...], said: str, status: int) -> None:
    done = platform.run(*command)
    assert (done.returncode, said in done.stderr, len(done.stderr.splitlines())) == (status, True, 1), done.stderr


@pytest.fixture
def node(tmp_path: Path) -> Iterator[str]:
    with clustered(tmp_path) as url:
        yield url


def test_a_node_of_a_cluster_is_refused_at_the_start(platform: Platform, node: str) -> None:
    use(platform, node)
    publish_events([search("one")])
    for process in (platform.launch_worker("projections"), platform.start("ingest", INGEST, {}), platform.relay()):
        assert ended(process) == 2
        assert CLUSTER in process.log.read_text()
    for command in (("breakers",), ("relay", "parked", "list")):
        assert_refused(platform, command, CLUSTER, 2)


@pytest.mark.chaos  # for its length
def test_a_database_that_is_not_there_is_refused_at_the_start(platform: Platform, valkey: Valkey) -> None:
    use(platform, valkey.url.rpartition("/")[0] + "/999" if valkey.url.count("/") > 2 else f"{valkey.url}/999")
    publish_events([search("one")])
    for process in (platform.launch_worker("projections"), platform.relay()):
        assert ended(process) == 2
        assert "it has no database of that number" in process.log.read_text()


def ended(process: Process) -> int:
    wait_until(lambda: process.popen.poll() is not None, what="the end")
    return process.popen.wait(1)
