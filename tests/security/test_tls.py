"""TLS to PostgreSQL, RabbitMQ and Redis: the right certificate is accepted, and any other refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from pydantic import SecretStr

from fundlyhub import publish_event
from fundlyhub.embedded.ports import free_port
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.errors import Unavailable
from fundlyhub.server_urls import amqp_tls
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import copy_of, settings_of
from tests.support.brokers import give_vhost
from tests.support.certificates import Authority, tls_before
from tests.support.make import completed
from tests.support.platform import Platform, Process, wait_until
from tests.support.rabbitmq import RabbitNode

SECRET_KEY = {"FUNDLYHUB_SECRET_KEY": "a key for tests"}
HERE, ELSEWHERE = "127.0.0.1", "elsewhere.example"


@dataclass(frozen=True)
class Places:
    """Where the servers speak TLS: with a certificate of this machine, and with one of another."""

    plain: str
    dsn: str
    amqp: dict[str, str]
    redis: dict[str, str]
    trusted: Path
    stranger: Path

    def variables(self, *, wrong: str = "", fault: str = "") -> dict[str, str]:
        """The settings; one of the servers is reached with the wrong CA, or has the certificate of another host."""

        def ca(server: str) -> str:
            return quote(str(self.stranger if (server, fault) == (wrong, "CA") else self.trusted), safe="/")

        def at(server: str) -> str:
            return ELSEWHERE if (server, fault) == (wrong, "host") else HERE

        # PostgreSQL has one certificate: it is another host's when we call the server by another name.
        host = "localhost" if at("postgres") == ELSEWHERE else HERE
        dsn = f"{self.dsn.replace(HERE, host)}?sslmode=verify-full&sslrootcert={ca('postgres')}"
        databases = {f"FUNDLYHUB_{branch}_DSN": dsn for branch in ("EVENTS", "APP", "ANALYTICS")}
        return {
            **SECRET_KEY,
            **databases,
            "FUNDLYHUB_BROKER_URL": f"{self.amqp[at('broker')]}?ssl_ca_certs={ca('broker')}",
            "FUNDLYHUB_REDIS_URL": f"{self.redis[at('redis')]}?ssl_ca_certs={ca('redis')}",
        }


@pytest.fixture(scope="module")
def folder(server_root: Path) -> Path:
    """For certificates; the servers' accounts may read in it."""
    made = server_root / "tls"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture(scope="module")
def places(folder: Path, postgres: Postgres, template: str, valkey: Valkey, rabbitmq: RabbitNode) -> Iterator[Places]:
    """RabbitMQ speaks TLS itself. The other two come from wheels without it: something stands before them that does."""
    trusted, stranger = Authority(folder, "trusted"), Authority(folder, "stranger")
    pairs = {name: trusted.server(name) for name in (HERE, ELSEWHERE)}
    rabbitmq.evaluate("ssl:start()")
    amqp = {name: listener(rabbitmq, *pair) for name, pair in pairs.items()}
    give_vhost(rabbitmq, "tls")
    cache, database = urlsplit(valkey.url), urlsplit(postgres.dsn)
    with (
        tls_before(cache.port or 0, *pairs[HERE]) as here,
        tls_before(cache.port or 0, *pairs[ELSEWHERE]) as elsewhere,
        tls_before(database.port or 0, *pairs[HERE], greeting=8) as log,
        copy_of(postgres, template) as dsn,
    ):
        redis = {HERE: here, ELSEWHERE: elsewhere}
        yield Places(
            dsn,
            dsn.replace(f":{database.port}/", f":{log}/"),
            amqp,
            {name: f"rediss://:{cache.password}@127.0.0.1:{port}/3" for name, port in redis.items()},
            trusted.file,
            stranger.file,
        )


def listener(node: RabbitNode, certificate: Path, key: Path) -> str:
    """RabbitMQ listens at one more port, with this certificate; its URL."""
    port, options = free_port(), f'[{{certfile,"{certificate}"}},{{keyfile,"{key}"}}]'
    node.evaluate(f'ok = rabbit_networking:start_ssl_listener({{"127.0.0.1",{port}}}, {options}, 2)')
    return f"amqps://guest:guest@127.0.0.1:{port}/tls"


def platform(places: Places, tmp_path: Path, **how: str) -> Platform:
    environment = {**places.variables(**how), "FUNDLYHUB_DATA_DIR": str(tmp_path), "FUNDLYHUB_CONNECT_TIMEOUT": "3"}
    found = Platform(environment, places.plain, None, tmp_path)
    found.environment["FUNDLYHUB_PROCESSORS"] = ""
    return found


@pytest.mark.rabbitmq
@pytest.mark.timeout(900)
@pytest.mark.chaos  # for its length
def test_the_right_certificates_are_accepted_by_every_process(places: Places, tmp_path: Path) -> None:
    with platform(places, tmp_path) as running:
        relay = running.relay()
        running.worker("projections,writes,notifications,broadcasts")
        wait_until(lambda: relay.said("connected to the log"), what="the relay")
        before = running.applied("campaign_stats")
        with settings_of(places.variables()):
            publish_event(completed())
        running.wait_applied("campaign_stats", before + 1)
        assert json.loads(running.run("status", "--json").stdout)["log"]["head"] >= 1
        health = json.loads(running.run("health", "--json").stdout)["checks"]
        assert [one for one in health if not one["ok"] and one["check"] != "queues have workers"] == []
        assert running.run("relay", "parked", "list").returncode == 0
        assert running.run("breakers").returncode == 0


@pytest.mark.rabbitmq
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", ["CA", "host"])
@pytest.mark.parametrize("wrong", ["postgres", "broker", "redis"])
@pytest.mark.chaos  # for its length
def test_another_certificate_is_refused_in_one_line_without_a_password(
    places: Places, tmp_path: Path, wrong: str, fault: str
) -> None:
    commands: dict[str, list[tuple[str, ...]]] = {
        "postgres": [("status",), ("migrate", "--check"), ("relay",), ("dlq", "list"), ("ingest",), ("verify",)],
        "broker": [("relay", "parked", "list")],
        "redis": [("breakers",)],
    }
    with platform(places, tmp_path, wrong=wrong, fault=fault) as running:
        secrets = {str(urlsplit(url).password) for url in (places.dsn, places.redis[HERE])}
        for command in commands[wrong]:
            done = running.run(*command)
            assert done.returncode == 1, command
            assert done.stderr.strip().count("\n") == 0, done.stderr
            assert "certificate" in done.stderr, done.stderr
            assert not [one for one in secrets if one in done.stdout + done.stderr]
        checks = json.loads(running.run("health", "--json").stdout)["checks"]
        refused = [one["said"] for one in checks if not one["ok"] and "certificate" in one["said"]]
        assert refused, checks
        assert not [one for one in secrets if one in json.dumps(checks)]
        if wrong == "postgres":
            wrong_ones = places.variables(wrong=wrong, fault=fault)
            with settings_of(wrong_ones), pytest.raises(Unavailable, match="certificate"):
                publish_event(completed())


def complains(process: Process) -> bool:
    return "ertificate" in process.log.read_text(errors="replace")


@pytest.mark.rabbitmq
@pytest.mark.parametrize("fault", ["CA", "host"])
@pytest.mark.chaos  # for its length
def test_a_worker_and_a_relay_do_not_talk_to_a_broker_that_is_none(places: Places, tmp_path: Path, fault: str) -> None:
    with platform(places, tmp_path, wrong="broker", fault=fault) as running:
        relay, worker = running.relay(), running.launch_worker("projections")
        for process in (relay, worker):
            wait_until(partial(complains, process), what="its complaint")
            assert "guest:guest" not in process.log.read_text(errors="replace")
        assert " ready." not in worker.log.read_text(errors="replace")


def test_without_verify_full_anybody_could_be_the_server(places: Places) -> None:
    """What docs/tls.md warns of: libpq's default asks for no certificate."""
    dsn = places.dsn.replace(HERE, "localhost")
    with psycopg.connect(dsn, sslmode="require") as db:
        assert db.pgconn.ssl_in_use


def test_each_node_of_a_cluster_is_asked_for_its_own_name() -> None:
    """Kombu would keep the first one's name, and then refuse all others."""
    tls = Settings(broker_url=SecretStr("amqps://u:p@a;amqps://u:p@b")).broker_tls
    assert tls is not None
    tls["server_hostname"] = "a"  # as kombu does, where it finds None
    assert tls["server_hostname"] is None
    assert dict(**tls)["server_hostname"] == "a"
    assert amqp_tls("amqp://a") is None
