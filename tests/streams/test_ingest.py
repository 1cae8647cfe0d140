"""`fundlyhub ingest` as a process: what is written to a stream is in the log once, whatever happens in between."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import pytest

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.streams.scripts import FORGET
from tests.streams.entries import DONATION, MALFORMED, message, one_text, short, whole
from tests.streams.streams import GROUP, Streams
from tests.support.platform import wait_until


def test_each_layout_arrives_once_from_its_stream(streams: Streams) -> None:
    first, second, unknown = whole(), short(), whole(type="campaign.featured", payload='{"passcode": "s3cret", "n": 1}')
    streams.write(first)
    streams.write(second, "events:stream")
    streams.write(short(id=first["id"], timestamp=first["timestamp"]), "events:stream")  # the same from another tab
    streams.write(message(), "fundlyhub-events")
    streams.write(one_text(), "fundlyhub-events")
    streams.write(unknown)
    streams.ingest()
    streams.wait_taken(5)
    assert {first["id"], second["id"], unknown["id"]} < set(streams.ids())
    assert streams.platform.value("SELECT payload FROM events.events WHERE id = %s", unknown["id"]) == {"n": 1}
    late = whole()
    streams.write(late)
    streams.wait_taken(6)
    assert streams.ids()[-1] == late["id"]


def test_what_cannot_be_an_event_is_in_quarantine_and_the_rest_flows(streams: Streams) -> None:
    good = []
    for said, _ in MALFORMED.values():
        good.append(whole())
        streams.write(said)
        streams.write(good[-1])
    streams.ingest(INGEST_BATCH="7")
    streams.wait_taken(len(good), len(MALFORMED))
    assert streams.ids() == [said["id"] for said in good]
    for found, (_, reason) in zip(streams.held(), MALFORMED.values(), strict=True):
        assert re.search(reason, found), (found, reason)


def test_a_field_that_stands_twice_is_seen_and_kept_twice(streams: Streams) -> None:
    pairs = [part for pair in (*whole().items(), ("type", "donation.completed")) for part in pair]
    streams.redis.execute_command("XADD", "events", "*", *pairs)
    streams.ingest()
    streams.wait_taken(0, 1)
    assert streams.held() == ["type: stands twice in one entry"]
    kept = streams.platform.value("SELECT fields FROM events.quarantine")
    assert [value for name, value in kept if name == "type"] == ["donation.initiated", "donation.completed"]


def test_an_id_with_other_content_is_in_quarantine(streams: Streams) -> None:
    first = whole()
    other = {**first, "payload": json.dumps({**DONATION, "amount": 7})}
    streams.write_all([first, other, first, whole()])
    streams.ingest()
    streams.wait_taken(2, 1)
    assert streams.held() == [f"id: event {first['id']} is in the log already, with other content"]


def test_no_secret_is_in_the_database_or_in_a_log(streams: Streams) -> None:
    streams.write(whole(type="campaign.created", payload='{"passcode": "s3cret"}'))
    streams.write(whole(type="campaign.created", payload='{"passcode": "s3cret", '))
    process = streams.ingest()
    streams.wait_taken(0, 2)
    assert process.terminate() == 0
    kept = str(streams.platform.value("SELECT jsonb_agg(q) FROM events.quarantine q"))
    assert "campaign.created" in kept
    assert "s3cret" not in kept + process.log.read_text()


def test_several_ingests_share_the_work(streams: Streams) -> None:
    for _ in range(3):
        streams.ingest(INGEST_BATCH="20")
    said = [whole() for _ in range(1_000)]
    for start in range(0, len(said), 10):
        streams.write_all(said[start : start + 10])
    streams.wait_taken(len(said))
    assert sorted(streams.ids()) == sorted(one["id"] for one in said)
    assert len(streams.redis.xinfo_consumers("events", GROUP)) == 3


def test_what_a_dead_consumer_left_is_taken_over(streams: Streams) -> None:
    streams.redis.xgroup_create("events", GROUP, id="0", mkstream=True)
    streams.write_all(whole() for _ in range(25))
    streams.write_all(MALFORMED["no type"][0] for _ in range(1))
    streams.ghost(26)
    process = streams.ingest(INGEST_BATCH="10")
    streams.wait_taken(25, 1)
    assert process.terminate() == 0
    assert "26 taken over" in process.log.read_text()


def test_what_is_new_does_not_wait_for_what_is_taken_over(streams: Streams) -> None:
    streams.redis.xgroup_create("events", GROUP, id="0", mkstream=True)
    streams.write(whole())
    streams.ghost(1)
    streams.ingest(INGEST_CLAIM_AFTER="60")
    late = whole()
    streams.write(late)
    wait_until(lambda: streams.ids() == [late["id"]], what="the new one")
    wait_until(lambda: streams.left() == 1, what="its acknowledgement")


def test_sigterm_ends_in_order(streams: Streams) -> None:
    process = streams.ingest()
    streams.write_all(whole() for _ in range(2_000))
    wait_until(streams.ids, what="the first batch")
    assert process.terminate() == 0
    there, left = len(streams.ids()), streams.left()
    assert there + left == 2_000, "a batch is committed and acknowledged, or not read"
    assert f"stopped after {there} new events" in process.log.read_text()
    assert streams.redis.xinfo_consumers("events", GROUP) == [], "it has left the group"
    streams.ingest()
    streams.wait_taken(2_000)


def test_sigterm_ends_it_while_servers_are_away(streams: Streams) -> None:
    process = streams.ingest()
    streams.queue.cut()
    wait_until(lambda: process.said("paused: "), what="the pause")
    assert process.terminate() == 0


@pytest.mark.parametrize("server", ["queue", "database"])
def test_an_outage_pauses_it_and_costs_nothing(streams: Streams, server: str) -> None:
    process = streams.ingest(INGEST_BATCH="10", INGEST_CLAIM_AFTER="60")  # nobody else takes over what it was given
    proxy = getattr(streams, server)
    streams.write_all(whole() for _ in range(50))
    streams.wait_taken(50)
    proxy.cut()
    streams.write_all([*(whole() for _ in range(50)), MALFORMED["no type"][0]])
    wait_until(lambda: process.said("paused: "), what="the pause")
    proxy.heal()
    streams.wait_taken(100, 1)
    assert process.popen.poll() is None


def test_it_outlives_a_valkey_that_is_restarted_and_one_that_forgot_everything(
    dsn: str, own_valkey: Valkey, tmp_path: Path
) -> None:
    with Streams(dsn, own_valkey, tmp_path) as streams:
        streams.ingest()
        streams.write_all(whole() for _ in range(20))
        streams.wait_taken(20)
        own_valkey.stop()
        own_valkey.start()
        streams.write_all(whole() for _ in range(20))
        streams.wait_taken(40)
        streams.redis.flushall()
        streams.write_all(whole() for _ in range(20))
        streams.wait_taken(60)


def test_an_entry_that_is_read_again_changes_nothing(streams: Streams) -> None:
    streams.write_all([message(), whole(), MALFORMED["no type"][0]])
    process = streams.ingest()
    streams.wait_taken(2, 1)
    streams.redis.xgroup_destroy("events", GROUP)
    wait_until(lambda: process.said("paused: ResponseError NOGROUP"), what="the loss of the group")
    streams.wait_taken(2, 1)
    assert process.terminate() == 0
    assert "stopped after 2 new events, 2 that were there already" in process.log.read_text()


def test_only_what_every_group_has_acknowledged_is_trimmed(streams: Streams) -> None:
    streams.redis.xgroup_create("events", "others", id="0", mkstream=True)
    ids = [streams.write(whole()) for _ in range(30)]
    streams.ingest(INGEST_TRIM="true")
    streams.wait_taken(30)
    assert streams.redis.xlen("events") == 30, "the others were given nothing yet"
    streams.ghost(20, group="others")
    streams.redis.xack("events", "others", *ids[:10])
    streams.write(whole())
    streams.wait_taken(31)
    wait_until(lambda: streams.redis.xlen("events") == 21, what="the trimming")
    assert streams.redis.xrange("events", count=1)[0][0].decode() == ids[10], "it is pending there"
    streams.redis.xack("events", "others", *ids[10:20])
    streams.write(whole())
    streams.wait_taken(32)
    wait_until(lambda: streams.redis.xlen("events") == 13, what="the trimming")
    assert streams.redis.xrange("events", count=1)[0][0].decode() == ids[19], "given to all, the last one stays"


def test_without_being_asked_nothing_is_trimmed(streams: Streams) -> None:
    streams.write_all(whole() for _ in range(30))
    process = streams.ingest()
    streams.wait_taken(30)
    assert process.terminate() == 0
    assert streams.redis.xlen("events") == 30


def test_status_tells_lag_and_pending(streams: Streams) -> None:
    assert [one["lag"] for one in streams.status()["streams"]] == [0, 0, 0]
    streams.redis.xadd("events", whole(), id=streams.age())
    streams.write_all([whole(), whole(), MALFORMED["no type"][0]])
    streams.write(whole(), "events:stream")
    before = streams.status()
    assert [(one["stream"], one["lag"], one["pending"]) for one in before["streams"]] == [
        ("events", 4, 0), ("events:stream", 1, 0), ("fundlyhub-events", 0, 0)
    ]  # fmt: skip
    assert 3_600 <= before["streams"][0]["lag_seconds"] < 3_700
    streams.redis.xgroup_create("events", GROUP, id="0")
    streams.ghost(1)
    between = streams.status()["streams"][0]
    assert (between["lag"], between["pending"], between["lag_seconds"] >= 3_600) == (3, 1, True)
    assert [(one["name"], one["pending"]) for one in between["consumers"]] == [("ghost", 1)]
    process = streams.ingest()
    streams.wait_taken(4, 1)
    after = streams.status()
    assert [(one["lag"], one["pending"], one["lag_seconds"]) for one in after["streams"]] == [(0, 0, 0.0)] * 3
    assert after["quarantine"] == {"open": 1}
    assert "in quarantine: 1" in streams.platform.run("ingest", "status").stdout
    assert process.popen.poll() is None


def test_streams_have_the_names_that_the_settings_give(streams: Streams) -> None:
    said = whole()
    streams.write(said, "theirs")
    streams.write(whole())
    streams.ingest(INGEST_STREAMS="theirs, other", INGEST_GROUP="ours")
    wait_until(lambda: streams.ids() == [said["id"]], what="the one event")
    assert [one["name"] for one in streams.redis.xinfo_groups("theirs")] == [b"ours"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"INGEST_STREAMS": " , "}, "FUNDLYHUB_INGEST_STREAMS names no stream"),
        ({"INGEST_STREAMS": "events:donation.completed"}, "is a channel of the mirror"),
        ({"INGEST_STREAMS": "taken"}, "the key 'taken' holds no stream"),
        ({"STREAMS_URL": "http://x"}, "FUNDLYHUB_STREAMS_URL: must begin with one of redis://"),
    ],
)
def test_wrong_use_is_said_in_one_line(streams: Streams, variables: dict[str, str], said: str) -> None:
    streams.redis.set("taken", "by a text")
    process = streams.launch(**variables)
    assert process.popen.wait(30) == 2
    log = process.log.read_text()
    assert said in log
    assert "Traceback" not in log


def test_a_log_that_is_gone_for_a_moment_pauses_it(streams: Streams) -> None:
    process = streams.ingest()
    with psycopg.connect(streams.dsn, autocommit=True) as db:
        db.execute("ALTER SCHEMA events RENAME TO elsewhere")
        streams.write(whole())
        wait_until(lambda: process.said("paused: this database has no event log"), what="the pause")
        db.execute("ALTER SCHEMA elsewhere RENAME TO events")
    streams.wait_taken(1)


def test_a_trimmed_entry_that_was_pending_is_told_of(streams: Streams) -> None:
    streams.redis.xgroup_create("events", GROUP, id="0", mkstream=True)
    gone = streams.write(whole())
    streams.write(whole())
    streams.ghost(2)
    streams.redis.xdel("events", gone)
    process = streams.ingest()
    streams.wait_taken(1)
    wait_until(lambda: process.said("1 entries were deleted from the stream before"), what="the error")


def test_a_server_that_forbids_scripts_stops_nothing(dsn: str, own_valkey: Valkey, tmp_path: Path) -> None:
    with Streams(dsn, own_valkey, tmp_path) as streams:
        streams.redis.acl_setuser("limited", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-eval"])
        url = f"redis://limited:pw@127.0.0.1:{streams.queue.port}/3"
        process = streams.ingest(STREAMS_URL=url, INGEST_TRIM="true")
        streams.write_all(whole() for _ in range(5))
        streams.wait_taken(5)
        wait_until(lambda: process.said("events: cannot be tidied up: NoPermissionError"), what="the warning")
        assert process.terminate() == 0


def test_only_consumers_that_hold_nothing_are_forgotten(streams: Streams) -> None:
    streams.redis.xgroup_create("events", GROUP, id="0", mkstream=True)
    streams.write(whole())
    streams.ghost(1)
    for name in ("idle", "leaving"):
        streams.redis.xgroup_createconsumer("events", GROUP, name)

    def forget(milliseconds: int, also: str = "") -> list[bytes]:
        streams.redis.eval(FORGET, 1, "events", GROUP, str(milliseconds), also)
        return [one["name"] for one in streams.redis.xinfo_consumers("events", GROUP)]

    assert forget(3_600_000, "leaving") == [b"ghost", b"idle"]
    assert forget(3_600_000, "ghost") == [b"ghost", b"idle"]
    assert forget(0) == [b"ghost"]
