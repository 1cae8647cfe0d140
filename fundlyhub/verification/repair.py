"""`--repair`: what is missing is sent again at once, as the sweep would; no row of anything is touched.

An event that was only slow does no harm when it comes twice: its claim is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from celery import Celery

from fundlyhub.processing.processor import Processor
from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.routing import Batch, split


def send_again(
    app: Celery, processors: Mapping[str, type[Processor]], missing: Mapping[str, Sequence[int]], *, due: bool = False
) -> int:
    """Send these positions to their processors, in order; how many. ``due`` is for those that wait for a retry.

    Raises an error of the broker's when it does not take them; then some of them may be there all the same.
    """
    batches = [
        Batch(processors[name], part)
        for name, positions in missing.items()
        for part in split(sorted(set(positions)), processors[name].batch_size)
    ]
    if not batches:
        return 0
    publisher = Publisher(app)
    try:
        publisher.send(batches, **({"due": True} if due else {}))
    finally:
        publisher.close()
    return sum(len(batch.positions) for batch in batches)
