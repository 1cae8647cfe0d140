"""The embedded servers: they keep data and address, ask for a password, and outlive nobody."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from fundlyhub.embedded.ports import kept_port
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.process import LARGEST_LOG, Child, birth
from fundlyhub.embedded.valkey import Valkey
from tests.support.platform import wait_until

OWNER = """
import sys, time
from pathlib import Path
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
postgres = Postgres(Path(sys.argv[1]) / "postgres").start()
valkey = Valkey(Path(sys.argv[1]) / "valkey").start()
print(postgres.child.process.pid, valkey.child.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(server_root: Path) -> Iterator[Path]:
    """A folder that PostgreSQL's account can reach."""
    path = server_root / f"embedded-{os.urandom(4).hex()}"
    path.mkdir(mode=0o755)
    yield path


def test_postgresql_keeps_its_data_and_its_address_over_a_restart(folder: Path) -> None:
    server = Postgres(folder).start()
    dsn = server.dsn
    server.create_databases(["one", "two"])
    server.create_databases(["two"])
    server.stop()
    assert not server.alive
    again = Postgres(folder).start()
    try:
        assert again.dsn == dsn
        with psycopg.connect(dsn) as db:
            names = {name for (name,) in db.execute("SELECT datname FROM pg_database")}
            timestamps = db.execute("SHOW track_commit_timestamp").fetchone()
        assert names >= {"one", "two"}
        assert timestamps == ("on",)
    finally:
        again.stop()


def test_an_initdb_that_was_cut_short_is_done_again(folder: Path) -> None:
    half = folder / "initdb-half"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server = Postgres(folder).start()
    server.stop()
    assert not half.exists()
    assert (folder / "data" / "global").is_dir()


def test_postgresql_wants_its_password(postgres: Postgres) -> None:
    stranger = postgres.dsn.replace(postgres.dsn.split(":")[2].split("@")[0], "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stranger)
    assert stat.S_IMODE((postgres.root / "password").stat().st_mode) == 0o600


@pytest.mark.chaos  # for its length
def test_valkey_keeps_what_waits_in_it_and_wants_its_password(tmp_path: Path) -> None:
    server = Valkey(tmp_path).start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.rpush("queue", "a", "b")
        server.stop()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.llen("queue") == 2
        with (
            redis.Redis(port=int(server.url.rpartition(":")[2].split("/")[0])) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        assert "requirepass" in (tmp_path / "valkey.conf").read_text()
        assert stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode) == 0o600
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_owner_leaves_no_server_behind(folder: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 2
    assert all(psutil.pid_exists(pid) for pid in pids)
    owner.send_signal(signal.SIGKILL)
    owner.wait(10)
    owner.stdout.close()
    wait_until(lambda: not any(_runs(pid) for pid in pids), what="the servers' end")


def test_what_a_dead_owner_left_is_ended_at_the_next_start(tmp_path: Path) -> None:
    orphan = subprocess.Popen(["sleep", "600"], start_new_session=True)
    threading.Thread(target=orphan.wait).start()  # a parent that takes note, as init does
    (tmp_path / "pid").write_text(f"{orphan.pid} {birth(orphan.pid)}")
    child = Child("sleep", ["sleep", "601"], log=tmp_path / "log", pid_file=tmp_path / "pid")
    assert orphan.wait(10) == -signal.SIGTERM
    assert child.alive
    child.stop()
    assert not (tmp_path / "pid").exists()


def test_a_pid_that_belongs_to_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])  # the same program, but begun at another time
    (tmp_path / "pid").write_text(f"{stranger.pid} {birth(os.getpid())}")
    child = Child("sleep", ["sleep", "601"], log=tmp_path / "log", pid_file=tmp_path / "pid")
    child.stop()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_child_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = Child(
        "stubborn", [sys.executable, "-c", stubborn], log=tmp_path / "log", pid_file=tmp_path / "pid", stop_limit=0.2
    )
    wait_until(lambda: "up" in child.tail(), what="its start")
    child.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_a_log_that_grew_large_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    with (tmp_path / "a.log").open("wb") as file:
        file.truncate(LARGEST_LOG + 1)
    child = Child("echo", ["echo", "new"], log=tmp_path / "a.log", pid_file=tmp_path / "pid")
    wait_until(lambda: child.said() == "new\n", what="its words")
    child.stop()
    assert (tmp_path / "a.log").stat().st_size == len("new\n")
    assert (tmp_path / "a.log.1").stat().st_size > LARGEST_LOG


def test_a_port_that_is_taken_by_now_is_replaced(tmp_path: Path, valkey: Valkey) -> None:
    taken = int(valkey.url.rpartition(":")[2].split("/")[0])
    (tmp_path / "port").write_text(str(taken))
    port = kept_port(tmp_path / "port")
    assert port != taken
    assert kept_port(tmp_path / "port") == port


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
