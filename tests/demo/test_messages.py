"""The demo's check of messages can say no: whatever is tampered with is found and named."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fundlyhub.cli.demo import LATE
from fundlyhub.database import connect, get_engine
from fundlyhub.demo import business
from fundlyhub.demo.messages import TELLERS, Told, check_messages, outbox
from fundlyhub.demo.publisher import Publisher
from fundlyhub.demo.run import PROCESSORS, TAKERS, TELLING
from fundlyhub.demo.stream import Stream
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.processing.executor import execute
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import copy_of, environment_of


class Run:
    """A finished run of the demo, whose messages are files in its data folder."""

    def __init__(self, settings: Settings, number: int, positions: Sequence[int]) -> None:
        self.settings, self.number, self.positions = settings, number, positions

    @property
    def outbox(self) -> Path:
        return self.settings.data_dir / "outbox"

    def files(self, channel: str = "email") -> list[Path]:
        return sorted((self.outbox / channel).iterdir())

    def sql(self, statement: str) -> None:
        with connect("app", settings=self.settings) as db:
            assert db.execute(statement).rowcount == 1

    def check(self) -> Told:
        return check_messages(self.settings, self.number, self.positions, outbox(self.settings.data_dir))


def finish(settings: Settings) -> Run:
    """Publish a small stream, and apply all of it."""
    with connect("events", settings=settings) as db:
        db.execute(business.DDL)
        row = db.execute(business.NEW_RUN, (3,)).fetchone()
    assert row is not None
    events, app = get_engine("events"), get_engine("app")
    publisher = Publisher(events, TAKERS, threading.Event(), app=app, tellers=TELLING)
    publisher.run(Stream(3, int(row[0]), 300).transactions())
    with connect("events", settings=settings) as db:
        types: dict[int, str] = dict(db.execute("SELECT position, type FROM events.events").fetchall())
    for processor in (*PROCESSORS.values(), *TELLERS.values()):
        execute(processor, [position for position in sorted(types) if types[position] in processor.patterns()])
    return Run(settings, int(row[0]), publisher.tally.positions)


@pytest.fixture(scope="module")
def finished(
    postgres: Postgres, template: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Run]]:
    """A database that a run has filled and nobody uses any more, and the run."""
    with copy_of(postgres, template) as dsn:
        with environment_of(dsn, valkey, tmp_path_factory.mktemp("finished"), **LATE) as settings:
            run = finish(settings)
        yield dsn.rpartition("/")[2], run


@pytest.fixture
def run(finished: tuple[str, Run], postgres: Postgres, valkey: Valkey, tmp_path: Path) -> Iterator[Run]:
    """A copy of it, to tamper with."""
    database, whole = finished
    shutil.copytree(whole.outbox, tmp_path / "outbox")
    with copy_of(postgres, database) as dsn, environment_of(dsn, valkey, tmp_path, **LATE) as settings:
        yield Run(settings, whole.number, whole.positions)


ONE = "(SELECT id FROM notifications WHERE channel = 'email' AND state = '{}' ORDER BY id LIMIT 1)"


def lose_a_file(run: Run) -> None:
    run.files()[0].unlink()


def send_twice(run: Run) -> None:
    first = run.files()[0]
    shutil.copy(first, first.with_name(f"20990101T000000.000000Z-{first.stem.split('-', 1)[1]}.eml"))


def send_what_nobody_planned(run: Run) -> None:
    (run.outbox / "email" / "20990101T000000.000000Z-00000000-0000-0000-0000-000000000001.eml").touch()


def lose_a_row(run: Run) -> None:
    run.sql(f"DELETE FROM notifications WHERE id = {ONE.format('sent')}")


def send_to_somebody_else(run: Run) -> None:
    run.sql(f"UPDATE notifications SET user_id = gen_random_uuid() WHERE id = {ONE.format('sent')}")


def skip_without_a_reason(run: Run) -> None:
    run.sql(f"UPDATE notifications SET state = 'skipped', reason = 'no idea' WHERE id = {ONE.format('sent')}")


def leave_it_waiting(run: Run) -> None:
    run.sql(f"UPDATE notifications SET state = 'queued' WHERE id = {ONE.format('sent')}")


def tell_a_refund_twice(run: Run) -> None:
    run.sql(
        "UPDATE refund_tellings SET amount = amount * 2 WHERE event_id = (SELECT event_id FROM refund_tellings LIMIT 1)"
    )


def send_what_is_unwanted(run: Run) -> None:
    run.sql(f"UPDATE notifications SET state = 'sent', reason = NULL WHERE id = {ONE.format('skipped')}")


def test_all_is_as_it_must_be(run: Run) -> None:
    told = run.check()
    assert told.mismatches == []
    assert told.checked > 400
    assert told.sent["email"] == len(run.files()) > 100
    assert told.sent["push"] == len(run.files("push")) > 10


@pytest.mark.parametrize(
    "tampering",
    [lose_a_file, send_twice, send_what_nobody_planned, lose_a_row, send_to_somebody_else, skip_without_a_reason,
     leave_it_waiting, tell_a_refund_twice, send_what_is_unwanted],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_it_is_found(run: Run, tampering: Callable[[Run], None]) -> None:
    tampering(run)
    assert run.check().mismatches


def test_more_than_the_limit_is_found(run: Run) -> None:
    with connect("app", settings=run.settings) as db:
        db.execute("""UPDATE notifications SET template = 'new_donation', state = 'sent',
                      user_id = '00000000-0000-4000-8000-000000000001' WHERE channel = 'email'""")
    found = [item["what"] for item in run.check().mismatches]
    assert any(what.startswith("messages to") for what in found)
