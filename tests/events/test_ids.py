"""New ids: in the order of time, and never the same from two processes."""

from __future__ import annotations

import os

from fundlyhub import Event
from tests.support.make import completed


def test_new_ids_are_in_the_order_of_time() -> None:
    ids = [Event.of(completed()).id for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {id.version for id in ids} == {7}


def test_processes_that_one_process_became_never_make_the_same_id() -> None:
    """As the workers of a server that loads the application first; what is random, without the time."""
    Event.of(completed())
    read, write = os.pipe()
    children = [_made_in_a_child(write, 20) for _ in range(16)]
    os.close(write)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 16
    with os.fdopen(read) as made:
        tails = [line.strip()[19:] for line in made]
    assert len(tails) == len(set(tails)) == 16 * 20


def _made_in_a_child(write: int, count: int) -> int:
    if child := os.fork():
        return child
    try:
        os.write(write, "".join(f"{Event.of(completed()).id}\n" for _ in range(count)).encode())
        os._exit(0)
    finally:
        os._exit(1)
