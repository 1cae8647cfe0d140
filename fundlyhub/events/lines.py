"""Publishing envelopes from a file, one JSON object a line: good lines go in, bad ones are reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from fundlyhub.errors import ConflictingEvent, InvalidEvent
from fundlyhub.events.envelope import Event
from fundlyhub.events.publish import insert
from fundlyhub.events.rules import MAX_BYTES, parse_json

CHUNK = 500
"""Lines in one transaction."""
MAX_LINE = 4 * MAX_BYTES
"""Bytes of a line that is looked at; JSON with escapes is longer than what it says."""


@dataclass
class LineReport:
    """What became of the lines so far; ``refused`` holds the number of the line and the reason."""

    lines: int = 0
    published: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def publish_lines(file: Iterable[bytes]) -> Iterator[LineReport]:
    """Publish the envelopes of a file in their order, and report after each chunk.

    Raises Unavailable when the Events DB is away; the chunks before are in, and publishing the file again
    adds the rest.
    """
    report = LineReport()
    lines = enumerate(file, 1)
    while chunk := list(islice(lines, CHUNK)):
        events = list(_parsed(chunk, report))
        try:
            _publish(events, report)
        except ConflictingEvent:
            for numbered in events:  # one by one: the good ones go in
                _publish_alone(numbered, report)
        report.lines = chunk[-1][0]
        report.refused.sort()
        yield report


def _parsed(chunk: list[tuple[int, bytes]], report: LineReport) -> Iterator[tuple[int, Event]]:
    for number, line in chunk:
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise InvalidEvent(f"payload: must have at most {MAX_BYTES} bytes, the line has {len(line)}")
            yield number, Event.model_validate(parse_json(line))
        except InvalidEvent as error:
            report.refused.append((number, str(error)))


def _publish(events: list[tuple[int, Event]], report: LineReport) -> None:
    published = insert([event for _, event in events], session=None) if events else []
    new = sum(item.is_new for item in published)
    report.published += new
    report.duplicates += len(published) - new


def _publish_alone(numbered: tuple[int, Event], report: LineReport) -> None:
    try:
        _publish([numbered], report)
    except ConflictingEvent as error:
        report.refused.append((numbered[0], str(error)))
