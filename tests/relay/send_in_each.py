"""What a process sends through the broker, for test_forks.py."""

from __future__ import annotations

from functools import cache

from fundlyhub.processing import registry
from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.routing import Batch

BATCHES = 20


@cache
def _publisher() -> Publisher:
    from fundlyhub.celery import app  # it wants settings

    return Publisher(app)


def batches() -> int:
    """By the relay's own publisher, which counts confirmations."""
    processor = registry.processors()["campaign_stats"]
    for position in range(BATCHES):
        _publisher().send([Batch((processor,), (position + 1,))])
    return BATCHES


def tasks() -> int:
    """By Celery's pool of producers."""
    from fundlyhub.celery import app

    for position in range(BATCHES):
        app.send_task("projections.campaign_stats", ([position + 1],), routing_key="fundlyhub-projections")
    return BATCHES


def depths() -> int:
    """By one connection after the other, as who only asks."""
    for _ in range(BATCHES):
        assert set(_publisher().depths()) >= {"writes", "projections", "notifications"}
    return 0
