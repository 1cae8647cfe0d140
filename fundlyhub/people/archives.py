"""Takes a person's words out of the archives of the log: a file in which they are is written anew, under a new name.

The new file is whole and on the disk before the table of archives names it, and the former one goes after that. A run
that was killed between the two leaves a file that the table does not name: the next run deletes it.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from fundlyhub.errors import Unavailable
from fundlyhub.events import StoredEvent
from fundlyhub.events.encoding import dumps
from fundlyhub.events.reading import DEEPEST
from fundlyhub.people.belongings import mentions
from fundlyhub.people.log import Found, read_json, text
from fundlyhub.people.nesting import shallow
from fundlyhub.people.person import Person
from fundlyhub.people.redaction import Redacted, redact, redact_all
from fundlyhub.private_files import anew
from fundlyhub.retention.archives.file import digest_of, sync_folder

_FILES = "SELECT DISTINCT file, sha256, restored_at IS NOT NULL FROM events.archives ORDER BY file"
_RENAME = "SELECT events.rename_archive(%(old)s, %(before)s, %(new)s, %(digest)s)"
_NAME = re.compile(r"(events-\d+-\d+)(?:\.(\d+))?\.jsonl\.gz")


class Archive(NamedTuple):
    """A file of the table of archives; one that is restored may be gone."""

    path: Path
    sha256: str
    restored: bool


def archives(db: psycopg.Connection[Any]) -> list[Archive]:
    """All files that the table names."""
    return [Archive(Path(file), sha256, restored) for file, sha256, restored in db.execute(_FILES)]


def away(db: psycopg.Connection[Any]) -> list[Path]:
    """The files that are not where they were written, or hold something else: nothing can be erased there."""
    return [one.path for one in archives(db) if not _is_there(one) and (not one.restored or one.path.exists())]


def look(db: psycopg.Connection[Any], person: Person) -> Iterator[tuple[Path, list[Found]]]:
    """What each file says about the person."""
    for one in archives(db):
        if _is_there(one):
            yield one.path, [found for _, found in _lines(one.path, person) if found is not None]


def rewrite(
    db: psycopg.Connection[Any], person: Person, done: Callable[[list[Found]], None], tell: Callable[[Path], None]
) -> int:
    """Write each file anew that holds words of the person; ``done`` is told of its events. How many there were.

    The caller archives and restores nothing meanwhile. Raises Unavailable when a file cannot be written.
    """
    changed = 0
    for one in archives(db):
        tell(one.path)
        if not _is_there(one):
            continue
        found = [event for _, event in _lines(one.path, person) if event is not None]
        if any(event.redacted.changed for event in found):
            _replace(db, one, person)
            changed += 1
        done(found)
    _sweep(db)
    return changed


def _is_there(one: Archive) -> bool:
    try:
        return digest_of(one.path) == one.sha256
    except OSError:
        return False


def _lines(path: Path, person: Person) -> Iterator[tuple[bytes, Found | None]]:
    """Each line as it is to be, and its event if that is about the person."""
    with gzip.open(path) as lines:
        for line in lines:
            whole = line.decode()
            readable = shallow(whole, DEEPEST + 1)
            said = read_json(readable)
            found = _redacted(said, person, None if readable == whole else whole)
            if found is not None and found.redacted.changed:
                said.update(payload=found.redacted.payload, metadata=found.redacted.metadata)
                line = dumps(said) + b"\n"
            yield line, found


def _redacted(said: dict[str, Any], person: Person, too_deep: str | None) -> Found | None:
    payload, metadata = said.get("payload"), said.get("metadata") or {}
    if not isinstance(payload, dict) or not isinstance(metadata, dict):
        return None
    redacted: Redacted | None = redact(said["type"], said["version"], payload, metadata, person)
    if too_deep is not None and (redacted or mentions(too_deep, person)):
        redacted = redact_all(redacted, payload, metadata)
    return None if redacted is None else Found(_row(said), redacted)


def _row(said: dict[str, Any]) -> StoredEvent:
    def id(name: str) -> UUID | None:
        return UUID(said[name]) if said.get(name) else None

    return StoredEvent(
        said["position"], UUID(said["id"]), said["type"], said["version"], datetime.fromisoformat(said["occurredAt"]),
        datetime.fromisoformat(said["recordedAt"]), id("correlationId"), id("causationId"), text(said["payload"]),
        text(said.get("metadata") or {}),
    )  # fmt: skip


def _replace(db: psycopg.Connection[Any], one: Archive, person: Person) -> None:
    new = one.path.with_name(_next_name(one.path.name))
    partial = new.with_name(f".{new.name}.partial")
    try:
        with anew(partial) as file:
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                for line, _ in _lines(one.path, person):
                    packed.write(line)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(new)
        sync_folder(new.parent)
    except OSError as error:
        raise Unavailable(f"cannot write to {new.parent}: {error.strerror}; {one.path.name} is as it was") from None
    finally:
        partial.unlink(missing_ok=True)
    given = {"new": str(new), "digest": digest_of(new), "old": str(one.path), "before": one.sha256}
    db.execute(_RENAME, given)
    one.path.unlink()
    sync_folder(new.parent)


def _next_name(name: str) -> str:
    """``events-1-9.jsonl.gz``, then ``events-1-9.1.jsonl.gz`` and so on."""
    found = _NAME.fullmatch(name)
    stem, number = (found[1], int(found[2] or 0) + 1) if found else (name.removesuffix(".jsonl.gz"), 1)
    return f"{stem}.{number}.jsonl.gz"


def _sweep(db: psycopg.Connection[Any]) -> None:
    """Delete what killed runs have left: former generations of the files that the table names."""
    for path in {one.path for one in archives(db)}:
        found = _NAME.fullmatch(path.name)
        if found is None or not path.parent.is_dir():
            continue
        for other in (*path.parent.glob(f"{found[1]}*.jsonl.gz"), *path.parent.glob(f".{found[1]}*.partial")):
            former = _NAME.fullmatch(other.name)
            if former is None or (former[1] == found[1] and int(former[2] or 0) < int(found[2] or 0)):
                other.unlink()
