"""Refuse a processor that needs archived events, and name the files to restore."""

from __future__ import annotations

from collections.abc import Iterable

from fundlyhub.errors import EventsArchived
from fundlyhub.events.archived import Away, files_of
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting


def missing(archives: Iterable[Away], processor: type[Processor], start: int) -> list[Away]:
    """The archives that hold what a processor wants of the events after ``start``. Pure."""
    return [one for one in archives if one.high > start and any(map(wanting(processor), one.types))]


def refuse_a_part(archives: Iterable[Away], processor: type[Processor], start: int) -> None:
    """Raise EventsArchived when a processor that begins after ``start`` would get a part of its events only. Pure."""
    if gone := missing(archives, processor, start):
        raise EventsArchived(
            f"{processor.name} wants all events after position {start:,}, and some of them, up to position "
            f"{max(one.high for one in gone):,}, are archived: run `fundlyhub events restore {files_of(gone)}` first"
        )
