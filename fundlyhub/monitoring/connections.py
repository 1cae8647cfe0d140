"""Connections for readings: opened for each, or kept from one to the next where somebody reads every second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from fundlyhub.database import connect
from fundlyhub.forks import in_each_process
from fundlyhub.settings import Branch, Settings

MOST = 4
"""Connections to a database that are kept."""


class Connections:
    """Opens autocommit connections. With ``keep`` a connection is used again, unless its reading has failed."""

    def __init__(self, settings: Settings, *, keep: bool = False) -> None:
        self._settings, self._most = settings, MOST if keep else 0
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._kept: defaultdict[Branch, list[psycopg.Connection[Any]]] = defaultdict(list)

    @contextmanager
    def open(self, branch: Branch) -> Iterator[psycopg.Connection[Any]]:
        """A connection to a database, for one reading. Raises Unavailable where it cannot be opened.

        One thread has it at a time: taking from a list and adding to it are single steps.
        """
        try:
            db = self._kept[branch].pop()
        except IndexError:
            db = connect(branch, settings=self._settings, autocommit=True)
        try:
            yield db
        except BaseException:
            db.close()
            raise
        if len(self._kept[branch]) < self._most:
            self._kept[branch].append(db)
        else:
            db.close()
