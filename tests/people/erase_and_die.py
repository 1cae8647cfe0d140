"""Erases a user, and kills its own process at the given step, counted over all that it tells; 0 is never."""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from uuid import UUID

from fundlyhub.people.erasing import erase
from fundlyhub.people.finding import person_of
from fundlyhub.settings import get_settings
from tests.verification.world import OURS


def main(user: str, last: int) -> None:
    """Erase, or die trying."""
    from fundlyhub.database import get_engine

    steps = count(1)

    def tell(what: str, done: int, total: int) -> None:
        print(what, flush=True)  # noqa: T201
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    with get_engine("app").connect() as db:
        person = person_of(db, str(UUID(user)), get_settings().secret)
    erase(get_settings(), OURS, person, who="Olga", reason="a request", tell=tell)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
