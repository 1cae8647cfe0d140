"""What goes wrong around a command: one line that says what and what to do, no traceback, no password."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from fundlyhub import publish_event
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from tests.support.command import Done, dsns, environment, fundlyhub
from tests.support.make import completed
from tests.support.platform import Process, wait_until

PASSWORD = "s3cret-of-the-test"
COMMANDS = [
    ("migrate",),
    ("migrate", "--check"),
    ("status",),
    ("feed", "00000000-0000-0000-0000-000000000001"),
    ("search", "wells"),
    ("relay",),
    ("relay", "status"),
    ("relay", "rebase", "--floor", "0"),
    ("events", "publish", "-"),
    ("ingest",),
    ("ingest", "status"),
    ("ingest", "quarantine", "list"),
    ("dlq", "list"),
    ("dlq", "replay", "--all"),
]
WORKER = ("-A", "fundlyhub", "worker", "-Q", "projections", "-c", "1")
every_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


@pytest.fixture(scope="module")
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dead_broker(closed_port: int) -> Mapping[str, str]:
    url = f"redis://:{PASSWORD}@127.0.0.1:{closed_port}/0"
    return {"FUNDLYHUB_BROKER_URL": url, "FUNDLYHUB_REDIS_URL": url}


@pytest.fixture
def dead_databases(closed_port: int) -> Mapping[str, str]:
    return dsns(f"postgresql://someone:{PASSWORD}@127.0.0.1:{closed_port}/fundlyhub")


def one_line(done: Done, status: int, *said: str) -> None:
    """The command failed with this status, and its only line on stderr says these texts."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("fundlyhub: ")]
    assert done.returncode == status, done.stderr
    assert len(lines) == 1, done.stderr
    for text in said:
        assert text in lines[0]
    assert done.stderr == lines[0] + "\n"
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr


def worker_line(done: Done, status: int, *said: str) -> None:
    """The same for a worker, where Celery may have warned about the superuser before."""
    last = done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    one_line(Done(done.args, done.returncode, "", last + "\n"), status, *said)


@every_command
def test_nothing_is_set(command: tuple[str, ...]) -> None:
    one_line(fundlyhub(*command, settings={}), 2, "is not set", "`fundlyhub up`")


def test_a_worker_whose_queue_needs_a_key_without_one(dsn: str, dead_broker: Mapping[str, str]) -> None:
    command = ["writes" if word == "projections" else word for word in WORKER]
    done = fundlyhub(*command, settings={**dsns(dsn), **dead_broker}, module="celery")
    worker_line(done, 2, "FUNDLYHUB_SECRET_KEY is not set")


def test_nothing_is_set_for_a_worker() -> None:
    worker_line(fundlyhub(*WORKER, settings={}, module="celery"), 2, "FUNDLYHUB_BROKER_URL is not set")


@every_command
def test_the_database_cannot_be_reached(
    command: tuple[str, ...], dead_databases: Mapping[str, str], dead_broker: Mapping[str, str], closed_port: int
) -> None:
    one_line(
        fundlyhub(*command, settings={**dead_databases, **dead_broker}),
        1,
        f" database at 127.0.0.1:{closed_port}/fundlyhub: Connection refused",
        "start it, or correct FUNDLYHUB_",
    )


def test_the_database_cannot_be_reached_by_a_worker(
    dead_databases: Mapping[str, str], dead_broker: Mapping[str, str]
) -> None:
    done = fundlyhub(*WORKER, settings={**dead_databases, **dead_broker}, module="celery")
    worker_line(done, 1, "cannot reach the events database", "FUNDLYHUB_EVENTS_DSN")


def test_a_host_of_several_addresses_is_reported_by_its_reason(closed_port: int) -> None:
    done = fundlyhub("status", settings=dsns(f"postgresql://localhost:{closed_port}/x"))
    one_line(done, 1, f"at localhost:{closed_port}/x: Connection refused")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RELAY_POLL", "abc", "must be a number|valid number"),
        ("RELAY_POLL", "0", "greater than 0"),
        ("BROKER_URL", f"http://user:{PASSWORD}@127.0.0.1", "must begin with one of amqp://"),
        ("REDIS_URL", "amqp://127.0.0.1", "must begin with one of redis://"),
        ("EVENTS_DSN", f"postgresql+psycopg://someone:{PASSWORD}@127.0.0.1/x", "is malformed"),
        ("EVENTS_DSN", PASSWORD, "is malformed"),
        ("EVENTS_DSN", f"postgresql://someone:s3@{PASSWORD}@127.0.0.1/x", "write an @ in the password as %40"),
        ("PROCESSORS", "no.such.module", "cannot import no.such.module"),
    ],
)
def test_a_setting_is_wrong(name: str, value: str, said: str) -> None:
    done = fundlyhub("status", settings={f"FUNDLYHUB_{name}": value})
    one_line(done, 2, f"FUNDLYHUB_{name}")
    assert any(text in done.stderr for text in said.split("|"))


def test_a_setting_is_wrong_for_a_worker() -> None:
    settings = {"FUNDLYHUB_BROKER_URL": f"http://user:{PASSWORD}@127.0.0.1"}
    worker_line(fundlyhub(*WORKER, settings=settings, module="celery"), 2, "must begin with one of amqp://")


class TestDatabasesThatDoNotFit:
    @pytest.fixture
    def broker(self, valkey: Valkey) -> Mapping[str, str]:
        return {"FUNDLYHUB_BROKER_URL": valkey.url}

    @pytest.fixture
    def newer(self, dsn: str) -> str:
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute("UPDATE events.alembic_version SET version_num = 'events_9999'")
        return dsn

    @pytest.mark.parametrize("command", [("status",), ("relay",), ("events", "publish", "-")], ids=" ".join)
    def test_not_migrated(self, postgres: Postgres, broker: Mapping[str, str], command: tuple[str, ...]) -> None:
        done = fundlyhub(*command, settings={**dsns(postgres.dsn), **broker})
        one_line(done, 1, "the events database is at revision none", "run `fundlyhub migrate`")

    def test_a_worker_on_databases_that_are_not_migrated(self, postgres: Postgres, broker: Mapping[str, str]) -> None:
        done = fundlyhub(*WORKER, settings={**dsns(postgres.dsn), **broker}, module="celery")
        worker_line(done, 1, "run `fundlyhub migrate`")

    @pytest.mark.parametrize("command", [("migrate",), ("relay",), ("relay", "status")], ids=" ".join)
    def test_newer_than_the_code(self, newer: str, broker: Mapping[str, str], command: tuple[str, ...]) -> None:
        done = fundlyhub(*command, settings={**dsns(newer), **broker})
        one_line(done, 1, "the events database is at revision events_9999, newer than", "install the newer fundlyhub")

    def test_check_shows_the_newer_one(self, newer: str) -> None:
        done = fundlyhub("migrate", "--check", settings=dsns(newer))
        assert done.returncode == 1
        assert "newer" in done.stdout

    def test_a_worker_on_newer_databases(self, newer: str, broker: Mapping[str, str]) -> None:
        done = fundlyhub(*WORKER, settings={**dsns(newer), **broker}, module="celery")
        worker_line(done, 1, "newer than this code")

    def test_a_role_without_rights(self, postgres: Postgres) -> None:
        role, name = f"guest_{uuid4().hex}", f"barred_{uuid4().hex}"
        with psycopg.connect(postgres.dsn, autocommit=True) as db:
            db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
            db.execute(f"CREATE DATABASE {name}")
            where = f"127.0.0.1:{db.info.port}/{name}"
        done = fundlyhub("migrate", settings=dsns(f"postgresql://{role}:{PASSWORD}@{where}"))
        with psycopg.connect(postgres.dsn, autocommit=True) as db:
            db.execute(f"DROP DATABASE {name}")
            db.execute(f"DROP ROLE {role}")
        one_line(done, 1, "the events database refused: permission denied for database", "rights")


class TestABrokerThatCannotBeReached:
    """Relay and workers wait for their broker: it may be restarting. They say so, and stop when told to."""

    @pytest.mark.parametrize("module", [("fundlyhub", "relay"), ("celery", *WORKER)], ids=["relay", "worker"])
    def test_is_waited_for(
        self, dsn: str, dead_broker: Mapping[str, str], tmp_path: Path, module: tuple[str, ...]
    ) -> None:
        settings = environment({**dsns(dsn), **dead_broker, "FUNDLYHUB_SECRET_KEY": "a key"})
        with psycopg.connect(dsn) as db:
            publish_event(completed(), session=db)
        process = Process(module[0], [sys.executable, "-m", *module], settings, tmp_path)
        try:
            wait_until(lambda: process.said("cannot reach the broker"), timeout=30, what="a word about the broker")
            assert process.popen.poll() is None
            assert process.terminate() in (0, -signal.SIGTERM)
        finally:
            process.kill()
        assert PASSWORD not in process.log.read_text()
        assert "Traceback" not in process.log.read_text()


def test_wrong_options_and_arguments_are_one_line_too() -> None:
    one_line(fundlyhub("nonsense", settings={}), 2, "No such command 'nonsense'; see `fundlyhub --help`")
    one_line(fundlyhub("--nonsense", settings={}), 2, "No such option '--nonsense'; see `fundlyhub --help`")
    one_line(fundlyhub("status", "--nonsense", settings={}), 2, "see `fundlyhub status --help`")
    one_line(fundlyhub("events", "publish", "/no/such/file", settings={}), 2, "No such file or directory")
    one_line(fundlyhub("relay", "rebase", settings={}), 2, "--floor")


def test_help_needs_no_settings() -> None:
    for command in ((), ("events", "publish")):
        done = fundlyhub(*command, "--help", settings={})
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage:" in done.stdout


@pytest.mark.parametrize("command", [("events", "docs"), ("status",), ("status", "--json")], ids=" ".join)
@pytest.mark.chaos  # for its length
def test_a_full_disk_is_one_line(dsn: str, command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fundlyhub", *command], env=environment(dsns(dsn)), stdin=subprocess.DEVNULL,
            stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"fundlyhub: cannot read or write: No space left on device\n")
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(dsn: str) -> None:
    done = subprocess.run(  # noqa: S602  # a shell's pipe is what it is about
        f"{sys.executable} -m fundlyhub events docs | head -1", shell=True, env=environment(dsns(dsn)),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == b""


WRITES = [
    ("dlq", "discard", "--all", "--reason", "x", "--by", "ann"),
    ("suppressions", "add", "email", "ann@example.org"),
    ("relay", "rebase", "--floor", "0"),
    ("events", "publish", "examples/first.jsonl"),
]


@pytest.mark.parametrize("command", WRITES, ids=lambda command: " ".join(command[:3]))
def test_a_role_that_may_only_read_is_told_what_it_lacks(dsn: str, command: tuple[str, ...]) -> None:
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("CREATE ROLE looker LOGIN PASSWORD 'looker'")
        try:
            for schema in ("events", "app", "analytics"):
                db.execute(f"GRANT USAGE ON SCHEMA {schema} TO looker")
                db.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO looker")
            own = dsn.replace(dsn.split("//")[1].split("@")[0], "looker:looker")
            more = {"FUNDLYHUB_SECRET_KEY": "a key for tests"}
            done = fundlyhub(*command, settings={**dsns(own), **more})
        finally:
            db.execute("DROP OWNED BY looker; DROP ROLE looker")
    one_line(done, 1, "permission denied for", "give our role the rights that it lacks")
