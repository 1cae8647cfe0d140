"""``python -m benchmarks.console``: times of the console's pages with large tables, and what open tabs cost."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.console.measuring import Shares, Timed, shares, timed
from benchmarks.console.place import console, full
from benchmarks.console.requests import asked, samples
from benchmarks.console.rows import Sizes

MIXED = ("/", "/processors", "/events", "/letters", "/breakers", "/streams", "/rebuilds", "/", "/events", "/letters")
TABS: Mapping[str, Sequence[str]] = {
    "no tab": (), "one tab: overview": ("/",), "one tab: dead letters": ("/letters",),
    "one tab: newest events": ("/events",), "ten tabs: overview": ("/",) * 10, "ten tabs: all pages": MIXED,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Fill the servers, measure, and print what was found as Markdown."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    for field in fields(Sizes):
        options.add_argument(f"--{field.name}", type=int, default=field.default, help=f"(default {field.default:,})")
    options.add_argument("--rounds", type=int, default=50, help="requests of each page (default 50)")
    options.add_argument("--seconds", type=float, default=60.0, help="for which tabs are open (default 60)")
    options.add_argument("--statements", action="store_true", help="print the statement of each page that reads most")
    given = options.parse_args(argv)
    sizes = Sizes(**{field.name: getattr(given, field.name) for field in fields(Sizes)})
    say("filling the tables")
    with tempfile.TemporaryDirectory() as folder, full(sizes) as (db, servers), console(Path(folder)) as (pid, visitor):
        known = samples(db)
        found = []
        for one in asked():
            say(one.name)
            found.append(timed(one, visitor, db, known, given.rounds))
        used = {}
        for name, tabs in TABS.items():
            say(name)
            used[name] = shares(pid, servers, visitor, tabs, given.seconds)
    sys.stdout.write("\n".join(report(sizes, given.rounds, found, used)))
    if given.statements:
        sys.stdout.write("\n".join(statements(found)))


def say(what: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what} ...\n")


def report(sizes: Sizes, rounds: int, found: Sequence[Timed], used: Mapping[str, Shares]) -> Iterator[str]:
    """Everything as a page of docs/."""
    yield "# The console with large tables: times and processor time\n"
    yield (
        f"Written by `python -m benchmarks.console`: {sizes.events:,} events with their claims, {sizes.letters:,} open "
        f"dead letters of {sizes.faults} faults, {sizes.messages:,} messages, {sizes.contacts:,} people, "
        f"{sizes.quarantine:,} entries in quarantine. Two cores, which other work shared; PostgreSQL with 256 MB of "
        "buffers, Valkey as the broker. Milliseconds are those of a client on the same machine, one request at a "
        f"time, {rounds} of each, with other ids each time. *Pages* are those of 8 kB that the largest statement read "
        "or found in memory, and *rows* what it gave.\n"
    )
    yield "| | p50 ms | p95 ms | kB | pages | rows |\n|---|---|---|---|---|---|"
    for one in found:
        read = f"{one.statement.blocks:,} | {one.statement.rows:,}" if one.statement else "– | –"
        yield f"| {_name(one)} | {one.p50:.1f} | {one.p95:.1f} | {one.bytes / 1_000:.0f} | {read} |"
    yield "\n## Open tabs\n\nPercent of a core, of the console's process and of its servers (PostgreSQL, Valkey).\n"
    yield "| | console | servers |\n|---|---|---|"
    yield from (f"| {name} | {one.console:.2f} | {one.servers:.2f} |" for name, one in used.items())
    yield ""


def statements(found: Sequence[Timed]) -> Iterator[str]:
    """The largest statement of each page."""
    for one in sorted(found, key=lambda one: -(one.statement.blocks if one.statement else 0)):
        if one.statement:
            yield f"\n{one.statement.blocks} pages, {one.statement.ms:.1f} ms: {one.asked.name}\n{one.statement.text}"


def _name(one: Timed) -> str:
    return f"`{one.asked.name}`" if one.asked.name.startswith("/") else one.asked.name


if __name__ == "__main__":
    main()
