"""Clients of services outside in processes that one process became: each hears the answers to its own questions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import redis

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.providers import Fake, Fcm, SendGrid, Twilio
from tests.channels import call_in_each
from tests.support.command import environment
from tests.support.elasticsearch import Peer
from tests.support.forking import CHILDREN, forked

THREADS = pytest.mark.parametrize("threads", [0, 2], ids=["alone", "beside threads that call"])
ALL = (CHILDREN + 1) * call_in_each.CALLS


def answers(use: Callable[[], object], url: str, folder: Path, threads: int) -> list[str]:
    """All that was answered after the forks, in all processes."""
    variables = {"TEST_URL": url, "TEST_FOLDER": str(folder), "FUNDLYHUB_DATA_DIR": str(folder)}
    told = forked(f"{call_in_each.__name__}:{use.__name__}", environment(variables), threads=threads)
    return [answer for process in told for answer in process]


@THREADS
@pytest.mark.parametrize(
    ("use", "provider"),
    [
        (call_in_each.mails, SendGrid),
        (call_in_each.in_threads, SendGrid),
        (call_in_each.texts, Twilio),
        (call_in_each.pushes, Fcm),
    ],
    ids=lambda value: value.__name__,
)
@pytest.mark.chaos  # for its length
def test_each_message_is_answered_to_the_process_that_sent_it(
    use: Callable[[], object], provider: type[Fake], tmp_path: Path, threads: int
) -> None:
    running: AbstractContextManager[Fake] = provider.running()
    with running as fake:
        ids = answers(use, fake.url, tmp_path, threads)
    assert len(set(ids)) == len(ids) == ALL
    assert len({one.reference for one in fake.accepted}) == len(fake.accepted) >= ALL + call_in_each.CALLS


@THREADS
@pytest.mark.parametrize("use", [call_in_each.breakers, call_in_each.limits], ids=lambda use: use.__name__)
def test_what_processes_count_together_in_redis_is_right(
    use: Callable[[], object], valkey: Valkey, tmp_path: Path, threads: int
) -> None:
    redis.Redis.from_url(valkey.url).flushall()
    counts = answers(use, valkey.url, tmp_path, threads)
    assert len(set(counts)) == len(counts) == ALL
    if not threads:
        assert sorted(map(int, counts)) == [*range(call_in_each.CALLS + 1, ALL + call_in_each.CALLS + 1)]


def test_a_child_does_not_count_the_successes_of_its_parent_again(valkey: Valkey, tmp_path: Path) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        answers(call_in_each.bursts, valkey.url, tmp_path, 0)
        counted = sum(int(client.hget(key, "calls") or 0) for key in client.scan_iter("*:calls:*"))
    assert counted == call_in_each.CALLS


@THREADS
def test_the_search_engine_takes_what_each_process_writes(peer: Peer, tmp_path: Path, threads: int) -> None:
    ids = answers(call_in_each.searches, peer.url, tmp_path, threads)
    assert len(set(ids)) == len(ids) == ALL
