"""A process that flushes the search index and kills itself at a given point: `METHOD before|after COUNT PREFIX`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.elasticsearch import SearchEngine
from fundlyhub.processors.projections.search_index import flusher
from fundlyhub.settings import get_settings


class Mortal(SearchEngine):
    """An engine whose process dies before or after the n-th call of one of its methods."""

    def __init__(self, url: str, method: str, when: str, count: int, prefix: str) -> None:
        breaker = Breaker("elasticsearch")
        super().__init__(url, breaker, prefix=prefix)
        inner, left = getattr(self, method), [count]

        def outer(*args: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = inner(*args)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(self, method, outer)


if __name__ == "__main__":
    method, when, count, prefix = sys.argv[1:]
    url = get_settings().elasticsearch_url
    assert url is not None
    flusher.PAGE = 10
    flusher.Flusher(Mortal(url.get_secret_value(), method, when, int(count), prefix)).flush()
