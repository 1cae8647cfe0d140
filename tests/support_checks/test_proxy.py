"""The proxy between real clients and real servers: it passes on, cuts, stalls, and kills where it is told to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest
import redis

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.providers import SendGrid
from tests.support.brokers import fresh_broker_url
from tests.support.platform import wait_until
from tests.support.proxy import AmqpWire, HttpWire, PostgresWire, Proxy, RespWire
from tests.support.proxy.trap import When, owner_of
from tests.support.rabbitmq import RabbitNode
from tests.support.urls import port_of, through

BOTH = pytest.mark.parametrize("when", ["before", "after"])


def die(code: str, *arguments: str) -> None:
    """Run a program that is to be killed before it has come to its end."""
    program = f"import sys\n{code}\nprint('survived')"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        timeout=60, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": "."}, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert done.stdout == ""


@pytest.fixture
def table(dsn: str) -> str:
    """An empty table."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("CREATE TABLE public.kept (n int)")
    return dsn


@pytest.fixture
def line(table: str) -> Iterator[Proxy]:
    """A proxy before PostgreSQL."""
    with Proxy(port_of(table), PostgresWire) as proxy:
        yield proxy


def kept(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as db:
        return [row[0] for row in db.execute("SELECT n FROM public.kept ORDER BY n").fetchall()]


INSERT = """
import psycopg
with psycopg.connect(sys.argv[1]) as db:
    for n in range(10):
        db.execute("INSERT INTO public.kept VALUES (%s)", (n,))
"""


def test_what_passes_is_unchanged(table: str, line: Proxy) -> None:
    with psycopg.connect(through(line, table)) as db:
        row = db.execute("SELECT repeat('x', 1000000)").fetchone()
    assert row == ("x" * 1_000_000,)


@BOTH
def test_a_process_dies_on_either_side_of_its_commit(table: str, line: Proxy, when: When) -> None:
    trap = line.kill("^COMMIT of .*INTO public.kept", when)
    die(INSERT, through(line, table))
    assert trap.wait(1) > 0
    assert kept(table) == ([] if when == "before" else list(range(10)))


@BOTH
def test_a_prepared_statement_is_known_by_its_text(table: str, line: Proxy, when: When) -> None:
    line.kill("INTO public.kept", when, nth=8)  # the driver prepares what it has run five times
    die(INSERT.replace("argv[1])", "argv[1], autocommit=True)"), through(line, table))
    assert kept(table) == list(range(7 if when == "before" else 8))


def test_a_cut_line_is_healed(table: str, line: Proxy) -> None:
    with psycopg.connect(through(line, table)) as db:
        line.cut()
        with pytest.raises(psycopg.OperationalError):
            db.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(through(line, table), connect_timeout=5)
    line.heal()
    psycopg.connect(through(line, table)).close()


def test_a_stalled_line_keeps_what_it_was_given(table: str, line: Proxy) -> None:
    with psycopg.connect(through(line, table), autocommit=True) as db:
        line.stall()
        writer = threading.Thread(target=db.execute, args=("INSERT INTO public.kept VALUES (1)",))
        writer.start()
        assert kept(table) == []
        line.heal()
        writer.join(10)
    assert kept(table) == [1]


HOLD = """
import socket, sys
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind(("127.0.0.1", int(sys.argv[1])))
held.connect(("127.0.0.1", int(sys.argv[2])))
print("connected", flush=True)
sys.stdin.read()
"""


def test_of_two_connections_from_one_port_the_right_process_is_killed() -> None:
    """To different servers, which the kernel allows: a trap once killed the test in place of its victim."""
    ours, theirs = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with ours, theirs, socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port, mine, others = (end.getsockname()[1] for end in (held, ours, theirs))
        held.connect(("127.0.0.1", mine))
        argv = [sys.executable, "-c", HOLD, str(port), str(others)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"connected\n"
            assert (owner_of(port, mine), owner_of(port, others)) == (os.getpid(), child.pid)
            child.communicate()


@BOTH
def test_a_command_of_valkey(valkey: Valkey, when: When) -> None:
    url = fresh_broker_url(valkey)
    with Proxy(port_of(url), RespWire) as proxy:
        proxy.kill("^LPUSH list", when)
        die("import redis; redis.Redis.from_url(sys.argv[1]).lpush('list', 1)", through(proxy, url))
    assert redis.Redis.from_url(url).llen("list") == (0 if when == "before" else 1)


@BOTH
def test_a_transaction_of_valkey_is_known_by_what_is_in_it(valkey: Valkey, when: When) -> None:
    url = fresh_broker_url(valkey)
    with Proxy(port_of(url), RespWire) as proxy:
        proxy.kill("^EXEC of .*HSET hash", when)
        code = "import redis; redis.Redis.from_url(sys.argv[1]).pipeline().hset('hash', 'a', 1).hset('hash', 'b', 2)"
        die(f"{code}.execute()", through(proxy, url))
    assert redis.Redis.from_url(url).hlen("hash") == (0 if when == "before" else 2)


def test_a_reply_is_known_by_its_command(valkey: Valkey) -> None:
    url = fresh_broker_url(valkey)
    redis.Redis.from_url(url).lpush("list", 1)
    with Proxy(port_of(url), RespWire) as proxy:
        trap = proxy.kill("^reply to BRPOP list", "before", side="server")
        die("import redis; redis.Redis.from_url(sys.argv[1]).brpop('list')", through(proxy, url))
        trap.wait(1)
    assert redis.Redis.from_url(url).llen("list") == 0


PUBLISH = """
from kombu import Connection
with Connection(sys.argv[1], transport_options={"confirm_publish": True}) as connection:
    connection.SimpleQueue("here").put("x" * 300_000)
"""
TAKE = """
from kombu import Connection
with Connection(sys.argv[1]) as connection:
    connection.SimpleQueue("here").get(timeout=10).ack()
    connection.drain_events(timeout=5)
"""


def waiting(node: RabbitNode, url: str) -> int:
    """How many messages are in the queue."""
    return node.messages(url.rpartition("/")[2])["here"]


@pytest.mark.rabbitmq
@BOTH
def test_a_publish_to_rabbitmq(rabbitmq: RabbitNode, when: When) -> None:
    url = fresh_broker_url(rabbitmq)
    with Proxy(port_of(url), AmqpWire) as proxy:
        proxy.kill("^basic.publish here here", when)
        die(PUBLISH, through(proxy, url))
    assert waiting(rabbitmq, url) == (0 if when == "before" else 1)


@pytest.mark.rabbitmq
@BOTH
def test_an_acknowledgement_to_rabbitmq(rabbitmq: RabbitNode, when: When) -> None:
    url = fresh_broker_url(rabbitmq)
    subprocess.run([sys.executable, "-c", f"import sys\n{PUBLISH}", url], check=True, timeout=60)
    with Proxy(port_of(url), AmqpWire) as proxy:
        proxy.kill("^basic.ack", when)
        die(TAKE, through(proxy, url))
    left = 1 if when == "before" else 0
    wait_until(lambda: waiting(rabbitmq, url) == left, what=f"{left} messages")


@BOTH
def test_a_call_to_a_provider(when: When) -> None:
    mail = '{"personalizations": [{"custom_args": {"notification": "n"}, "to": [{"email": "a"}]}]}'
    with SendGrid.running() as fake, Proxy(port_of(fake.url), HttpWire) as proxy:
        proxy.kill("^POST /v3/mail/send", when)
        die(
            "import httpx; httpx.post(sys.argv[1] + '/v3/mail/send', content=sys.argv[2])",
            through(proxy, fake.url),
            mail,
        )
        assert len(fake.accepted) == (0 if when == "before" else 1)


def test_a_trap_that_nothing_springs_says_so(table: str, line: Proxy) -> None:
    trap = line.kill("never said", "before")
    psycopg.connect(through(line, table)).close()
    with pytest.raises(AssertionError, match="nothing came before which to kill"):
        trap.wait(0.1)
