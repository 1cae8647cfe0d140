"""A worker that calls a door through a shared breaker until it is killed: `NAME REDIS_URL DOOR_URL RULES`."""

from __future__ import annotations

import json
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.rules import Rules
from fundlyhub.errors import Snooze, Transient

PAUSE = 0.01


def main() -> None:
    """Call, and say what became of it: one line whenever that changes."""
    name, redis_url, door_url, rules = sys.argv[1:]
    breaker = Breaker(name, SharedStorage(name, redis_url), Rules(**json.loads(rules)))

    def call() -> None:
        try:
            urlopen(door_url, timeout=10).close()  # noqa: S310  # the test's own door
        except URLError:
            raise Transient("down") from None

    said = ""
    while True:
        try:
            breaker.call(call)
            outcome = "called"
        except (Snooze, Transient) as error:
            outcome = type(error).__name__
        if outcome != said:
            sys.stdout.write(f"{outcome}\n")
            sys.stdout.flush()
            said = outcome
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
