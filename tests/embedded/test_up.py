"""`fundlyhub up`: all of it at once, with what dies brought back, and nothing left at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import redis
from pydantic import SecretStr

from fundlyhub.cli.up import for_another_shell, without_password
from tests.streams.entries import whole
from tests.support.platform import wait_until

WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith("FUNDLYHUB_")}


pytestmark = pytest.mark.timeout(900)


class Up:
    """A running `fundlyhub up` and what it printed."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.folder = folder
        self.out = (folder.parent / f"{folder.name}.out").open("w+")
        self.err = (folder.parent / f"{folder.name}.err").open("w+")
        argv = [sys.executable, "-m", "fundlyhub", "up", "--data-dir", str(folder), "--json", *options]
        self.popen = subprocess.Popen(argv, env={**WITHOUT, **variables}, stdout=self.out, stderr=self.err)

    def text(self, name: str) -> str:
        """What it printed so far."""
        return Path(getattr(self, name).name).read_text()

    def ready(self) -> dict[str, str]:
        """The addresses, once it is up."""

        def look() -> bool:
            assert self.popen.poll() is None, self.text("err")
            return self.text("out").rstrip().endswith("}")

        wait_until(look, timeout=180, what="up")  # it starts a dozen processes
        found: dict[str, str] = json.loads(self.text("out"))
        return found

    def processes(self) -> list[psutil.Process]:
        """All processes below it."""
        below: list[psutil.Process] = psutil.Process(self.popen.pid).children(recursive=True)
        return below

    def end(self, number: signal.Signals) -> int:
        """Stop it, and check that nothing is left."""
        below = self.processes()
        self.popen.send_signal(number)
        status = self.popen.wait(60)
        _, left = psutil.wait_procs(below, timeout=30)
        assert not left
        return status

    def close(self) -> None:
        """Whatever happened, it ends."""
        self.popen.kill()
        self.popen.wait()
        self.out.close()
        self.err.close()


@pytest.fixture
def folder(server_root: Path) -> Path:
    """A data folder that PostgreSQL's account can reach."""
    return server_root / f"up {os.urandom(4).hex()}"  # some systems' data folders have a space in their name


@pytest.fixture
def up(folder: Path) -> Iterator[Up]:
    """Everything, started."""
    running = Up(folder)
    yield running
    running.close()


@pytest.mark.chaos  # for its length
def test_it_starts_all_brings_back_what_dies_and_leaves_nothing(up: Up) -> None:
    found = up.ready()
    assert set(found) >= {"events_dsn", "app_dsn", "analytics_dsn", "broker_url", "environment"}
    assert set(found) >= {"relay", "ingest", "worker", "flower", "flower_url", "flower_login", "console", "console_url"}
    wait_until(lambda: "/sign-in/link/" in up.text("err"), what="the link into the console")
    link = next(line for line in up.text("err").splitlines() if "/sign-in/link/" in line)
    with httpx.Client(headers={"Origin": found["console_url"]}, follow_redirects=True) as browser:
        assert "<strong>local</strong>" in browser.post(link, data={"go": ""}).text
    with httpx.Client(headers={"Origin": found["console_url"]}) as late:
        assert late.post(link, data={"go": ""}).status_code == 401
    read = subprocess.run(
        ["/bin/sh", "-c", f'{for_another_shell(found)}; echo "$FUNDLYHUB_EVENTS_DSN" "$FUNDLYHUB_REDIS_URL"'],
        env=WITHOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    dsn, redis_url = read.stdout.split()
    secret = re.match(r"postgresql://fundlyhub_owner:([^@]+)@", dsn)
    assert secret is not None
    assert secret[1] not in up.text("out") + up.text("err")
    with redis.Redis.from_url(redis_url) as client, psycopg.connect(dsn, autocommit=True) as db:
        client.xadd("events", whole())
        wait_until(lambda: db.execute("SELECT position FROM events.events").fetchone(), what="what a stream brought")

    relay = int(found["relay"].removeprefix("process "))
    os.kill(relay, signal.SIGKILL)
    wait_until(lambda: "relay ended with status -9; starting it again" in up.text("err"), what="the note of its death")

    def relay_is_back() -> bool:
        return any(process.cmdline()[-1:] == ["relay"] and process.pid != relay for process in up.processes())

    wait_until(relay_is_back, what="another relay")
    os.kill(int(found["postgres"].removeprefix("process ")), signal.SIGKILL)

    def postgres_is_back() -> bool:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            return False
        return "postgres ended with status -9; starting it again" in up.text("err")

    wait_until(postgres_is_back, what="PostgreSQL at the same address")
    assert up.end(signal.SIGTERM) == 0
    assert "Stopped." in up.text("err")


@pytest.mark.chaos  # for its length
def test_a_second_one_on_the_folder_is_refused_and_a_kill_leaves_nothing_but_the_data(up: Up, folder: Path) -> None:
    found = up.ready()
    second = subprocess.run(
        [sys.executable, "-m", "fundlyhub", "up", "--data-dir", str(folder)],
        env=WITHOUT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "is used by `fundlyhub up`" in second.stderr
    if sys.platform == "linux":  # elsewhere the next start ends what is left
        assert up.end(signal.SIGKILL) == -signal.SIGKILL
    again = Up(folder, "--only", "postgres,valkey")
    try:
        servers = ("events_dsn", "app_dsn", "analytics_dsn", "broker_url", "redis_url")
        assert [again.ready()[name] for name in servers] == [found[name] for name in servers]
        assert again.end(signal.SIGINT) == 0
    finally:
        again.close()


@pytest.mark.chaos  # for its length
def test_flower_asks_for_a_password_that_is_shown_on_its_first_day_only(folder: Path) -> None:
    passwords = []
    for day in (1, 2):
        running = Up(folder, "--only", "valkey,flower")
        try:
            found = running.ready()
            file = folder / "flower" / "password"
            assert file.stat().st_mode & 0o777 == 0o600
            assert found["flower_login"] == f"fundlyhub, password in {file}"
            passwords.append(file.read_text())
            assert passwords[-1] not in running.text("out")
            assert (f"not shown again: {passwords[-1]}" in running.text("err")) == (day == 1)
            page = f"{found['flower_url']}api/workers"
            assert httpx.get(page).status_code == 401
            assert httpx.get(page, auth=("fundlyhub", passwords[-1])).status_code == 200
            assert not [one for one in running.processes() if passwords[-1] in " ".join(one.cmdline())]
            assert running.end(signal.SIGTERM) == 0
        finally:
            running.close()
    assert passwords[0] == passwords[1]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://user:secret@host:5432/db?sslmode=require", "postgresql://user@host:5432/db"),
        ("postgresql://host/db?user=user&password=secret", "postgresql://host/db"),
        ("postgresql://one:5432,two:5432/db", "postgresql://one:5432,two:5432/db"),
        ("redis://:secret@host:6379/0", "redis://host:6379/0"),
        ("postgresql://user:sec/ret@host/db", "(given, not shown)"),
        ("host=host user=user password=secret", "(given, not shown)"),
    ],
)
def test_addresses_are_shown_without_a_password(given: str, shown: str) -> None:
    assert without_password(SecretStr(given)) == shown


@pytest.mark.chaos  # for its length
def test_only_some_parts_and_unknown_ones(folder: Path) -> None:
    running = Up(folder, "--only", "valkey")
    try:
        found = running.ready()
        assert "broker_url" in found
        assert "events_dsn" not in found
        assert running.end(signal.SIGHUP) == 0, "the end of its terminal"
    finally:
        running.close()
    wrong = subprocess.run(
        [sys.executable, "-m", "fundlyhub", "up", "--only", "relay,wroker", "--data-dir", str(folder)],
        env=WITHOUT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    there = "postgres, valkey, relay, ingest, worker, console, flower"
    assert wrong.stderr == f"fundlyhub: no such part: wroker; there are {there}\n"


@pytest.mark.chaos  # for its length
def test_a_data_folder_may_be_named_from_where_one_is(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    running = subprocess.Popen(
        [sys.executable, "-m", "fundlyhub", "up", "--only", "valkey"],
        env={**WITHOUT, "FUNDLYHUB_DATA_DIR": "here"}, cwd=folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: (folder / "here" / "environment").exists() or running.poll() is not None, what="up")
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    finally:
        running.kill()


@pytest.mark.chaos  # for its length
def test_servers_that_are_given_are_used_and_not_started(folder: Path, dsn: str) -> None:
    given = {f"FUNDLYHUB_{name}_DSN": dsn for name in ("EVENTS", "APP", "ANALYTICS")}
    running = Up(folder, "--only", "postgres,valkey,relay", **given)
    try:
        running.ready()
        assert not (folder / "postgres").exists()
        assert running.end(signal.SIGTERM) == 0
    finally:
        running.close()
