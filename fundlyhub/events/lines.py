"""Publishing of files with one JSON envelope per line: valid lines are published, others are reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from sqlalchemy.exc import DBAPIError

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.envelope import Event
from fundlyhub.events.imported import as_imported
from fundlyhub.events.publish import insert
from fundlyhub.events.refusal import is_to_blame, reason_of
from fundlyhub.events.rules import MAX_BYTES, parse_json

CHUNK = 500
"""Most lines in one transaction."""
CHUNK_BYTES = 8 * 1024 * 1024
"""Approximate bytes of lines in one transaction, and so in memory."""
MAX_LINE = 4 * MAX_BYTES
"""Most bytes of a line that is parsed; JSON with escapes is longer than its content."""
_BOM = b"\xef\xbb\xbf"


@dataclass
class LineReport:
    """The results of the lines so far; ``refused`` has line numbers and reasons."""

    lines: int = 0
    published: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


class Line(NamedTuple):
    """A line of a file; only the beginning if it is too long."""

    number: int
    text: bytes
    is_too_long: bool


def publish_lines(file: BinaryIO, *, imported: bool = False) -> Iterator[LineReport]:
    """Publish the envelopes of a file in order and report after each chunk; nobody is notified of ``imported`` ones.

    Raises Unavailable if the Events DB cannot be reached. Earlier chunks are then published; publishing the file again
    adds the rest.
    """
    report = LineReport()
    for chunk in in_chunks(numbered_lines(file)):
        events = list(_parsed(chunk, report))
        if imported:
            events = [(number, as_imported(event)) for number, event in events]
        try:
            _publish(events, report)
        except (InvalidEvent, DBAPIError) as error:
            if not is_to_blame(error):
                raise
            for numbered in events:  # one by one, so that the valid ones are published
                _publish_alone(numbered, report)
        report.lines = chunk[-1].number
        report.refused.sort()
        yield report


def numbered_lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of a file; only the beginning of a too long line is ever in memory."""
    number = 0
    while text := file.readline(MAX_LINE + 1):
        number += 1
        is_too_long = len(text) > MAX_LINE
        rest = text
        while rest and not rest.endswith(b"\n") and len(rest) > MAX_LINE:
            rest = file.readline(MAX_LINE + 1)
        yield Line(number, text.removeprefix(_BOM) if number == 1 else text, is_too_long)


def in_chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lists of lines that are small enough for one transaction and for memory."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line.text)
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _parsed(chunk: list[Line], report: LineReport) -> Iterator[tuple[int, Event]]:
    for line in chunk:
        if not line.text.strip():
            continue
        try:
            if line.is_too_long:
                raise InvalidEvent(f"the line is too large: an event must have at most {MAX_BYTES} bytes")
            yield line.number, Event.model_validate(parse_json(line.text))
        except InvalidEvent as error:
            report.refused.append((line.number, str(error)))


def _publish(events: list[tuple[int, Event]], report: LineReport) -> None:
    published = insert([event for _, event in events], session=None) if events else []
    new = sum(item.is_new for item in published)
    report.published += new
    report.duplicates += len(published) - new


def _publish_alone(numbered: tuple[int, Event], report: LineReport) -> None:
    try:
        _publish([numbered], report)
    except (InvalidEvent, DBAPIError) as error:
        if not is_to_blame(error):
            raise
        report.refused.append((numbered[0], reason_of(error)))
