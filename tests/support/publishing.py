"""A publisher without a broker: what would be sent is handed to a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.routing import Batch


class To(Publisher):
    """Hands each batch to ``take``, as the name of its processor, or of its queue, and its positions."""

    def __init__(self, take: Callable[[str, Sequence[int]], Any]) -> None:
        self._take = take

    def send(self, batches: Sequence[Batch], **_: Any) -> None:
        """Hand them over, in order."""
        for batch in batches:
            self._take(batch.task.rpartition(".")[2], batch.positions)
