"""The greatest age at which an event may run: claims must be kept longer than that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from fundlyhub.errors import WrongUse
from fundlyhub.processing.outcome import longest_life
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import CONSUMER_TIMEOUT, Settings

VISIBILITY = 3_600.0
"""Seconds after which Valkey and Redis give a message back that a worker has taken and not acknowledged."""
_DAY = timedelta(days=1)


def horizon(settings: Settings, processors: Mapping[str, type[Processor]]) -> timedelta:
    """The age at which the last of its own runs has ended for any event that is not held by an attempt or a letter.

    Sent late by the sweep, snoozed for as long as its processor allows, retried with the longest waits, and given back
    by the broker.
    """
    waits = [max(cls.snooze_limit, settings.notification_patience) + longest_life(cls) for cls in processors.values()]
    sent = settings.sweep_grace + settings.sweep_patience + settings.sweep_interval
    return timedelta(seconds=sent + max(waits, default=0.0) + max(VISIBILITY, CONSUMER_TIMEOUT))


def retention_of(settings: Settings, processors: Mapping[str, type[Processor]]) -> timedelta | None:
    """How long claims are kept; None is for ever.

    Raises WrongUse when that is shorter than an event may be on its way.
    """
    if not settings.claims_retention:
        return None
    retention, least = timedelta(days=settings.claims_retention), horizon(settings, processors)
    if retention < least:
        raise WrongUse(
            f"FUNDLYHUB_CLAIMS_RETENTION must be at least {least / _DAY:.2f} days, or 0: "
            "so long may an event be on its way, and its claim is what keeps it from being applied twice"
        )
    return retention
