"""A small world for tests: payloads become events, a minute apart, and every processor that wants them applies them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Engine

from fundlyhub import Event, Payload
from fundlyhub.processing.processor import Processor
from fundlyhub.testing.convergence import START


class World:
    """Processors of one database, told of one event at a time."""

    def __init__(self, engine: Engine, processors: Sequence[type[Processor]]) -> None:
        self.engine, self.processors = engine, processors
        self._positions = itertools.count(1)

    def tell(self, *payloads: Payload) -> None:
        """The events of these payloads, applied one by one."""
        for payload in payloads:
            position = next(self._positions)
            event = Event.of(payload, timestamp=START + timedelta(minutes=position))
            with self.engine.begin() as db:
                for processor in self.processors:
                    if payload.event_type in processor.patterns():
                        processor().handle_batch([event.model_copy(update={"position": position})], db)
