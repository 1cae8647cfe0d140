"""Reading files of JSON lines, and publishing envelopes from one: good lines go in, bad ones are reported."""

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
"""Lines in one transaction at most."""
CHUNK_BYTES = 8 * 1024 * 1024
"""Bytes of lines in one transaction, more or less: that much of the file is in memory."""
MAX_LINE = 4 * MAX_BYTES
"""Bytes of a line that is looked at; JSON with escapes is longer than what it says."""
_BOM = b"\xef\xbb\xbf"


@dataclass
class LineReport:
    """What became of the lines so far; ``refused`` holds the number of the line and the reason."""

    lines: int = 0
    published: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


class Line(NamedTuple):
    """A line of a file; of one that is too long only the beginning."""

    number: int
    text: bytes
    is_too_long: bool


def publish_lines(file: BinaryIO, *, imported: bool = False) -> Iterator[LineReport]:
    """Publish the envelopes of a file in their order, and report after each chunk; ``imported`` ones tell nobody.

    Raises Unavailable when the Events DB is away; the chunks before are in, and publishing the file again
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
            for numbered in events:  # one by one: the good ones go in
                _publish_alone(numbered, report)
        report.lines = chunk[-1].number
        report.refused.sort()
        yield report


def numbered_lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of a file; of one that is too long only the beginning is ever in memory."""
    number = 0
    while text := file.readline(MAX_LINE + 1):
        number += 1
        is_too_long = len(text) > MAX_LINE
        rest = text
        while rest and not rest.endswith(b"\n") and len(rest) > MAX_LINE:
            rest = file.readline(MAX_LINE + 1)
        yield Line(number, text.removeprefix(_BOM) if number == 1 else text, is_too_long)


def in_chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lines in lists that are small enough for one transaction, and for memory."""
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
