"""`fundlyhub verify`: the log against claims, tables and messages, and what is missing sent again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.progress import progress_bar, progress_lines
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.settings import get_settings
from fundlyhub.verification import Report, verify

if TYPE_CHECKING:
    from celery import Celery

SHOWN = 50
"""Findings in the table; --json lists more."""


@click.command("verify")
@click.option("--processor", "names", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option("--sample", type=click.IntRange(1), help="Check a random sample of this many events and campaigns.")
@click.option("--since", type=click.IntRange(0), default=0, metavar="POSITION", help="Only events after this one.")
@click.option("--grace", type=click.FloatRange(0), metavar="SECONDS", help="Time that an event may be in flight.")
@click.option(
    "--wait", type=click.FloatRange(0), default=0, metavar="SECONDS",
    help="Wait at most this long until nothing is in flight; what is left then is missing.",
)  # fmt: skip
@click.option("--no-tables", is_flag=True, help="Compare claims and messages only: quick, and blind to wrong numbers.")
@click.option("--repair", is_flag=True, help="Send missing events again, and with --wait compare once more.")
@click.option(
    "--progress", type=click.Choice(("bar", "lines")), default="bar", show_default=True,
    help="Show progress on stderr: a bar on a terminal, or lines of JSON for a program.",
)  # fmt: skip
@answers
def command(
    names: tuple[str, ...], sample: int | None, since: int, grace: float | None, wait: float, no_tables: bool,
    repair: bool, progress: str,
) -> Answer:  # fmt: skip
    """Compare the log with claims, tables and messages; list what is missing, double, different, stuck or forged.

    The processors' own code rebuilds the tables from the log in a separate schema; they are compared row by row.
    Workers may run meanwhile. The exit status is 1 if anything is found.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the schema goes, as at Ctrl-C
    processors = dict(known_processors())
    if unknown := [name for name in names if name not in processors]:
        raise WrongUse(f"no such processor: {', '.join(unknown)}; there are {', '.join(processors)}")
    require_current("events", "app", "analytics", with_packages=True)
    with progress_lines() if progress == "lines" else progress_bar("Verifying") as tell:
        report = verify(
            get_settings(), {name: cls for name, cls in processors.items() if not names or name in names},
            app=_app(repair), sample=sample, since=since, grace=grace, wait=wait, tables=not no_tables, repair=repair,
            tell=tell,
        )  # fmt: skip
    return Answer(report.document(), *_parts(report), good=report.ok)


def _app(needed: bool) -> Celery | None:
    """The app, where a broker is set: its queues tell what is only waiting. Raises WrongUse when it is needed."""
    settings = get_settings()
    if not needed and settings.broker_url is None:
        return None
    settings.broker  # noqa: B018  # a missing URL is better said before Celery is loaded
    from fundlyhub.celery import app

    return app


def _parts(report: Report) -> Iterator[str | Table]:
    listed = report.findings.listed
    if listed:
        yield Table(
            f"Found: {_counts(report.findings.counts)}",
            ("kind", "processor", "position", "event", "what", "expected", "found"),
            [
                (f.kind, f.processor, f.position, f.event_id, f.what, _plain(f.expected), _plain(f.found))
                for f in listed[:SHOWN]
            ],
        )
    if (hidden := report.findings.counts.total() - min(SHOWN, len(listed))) > 0:
        yield f"And {hidden:,} more; --json lists up to {len(listed):,}."
    yield f"Compared up to position {report.head:,}: {_counts(report.checked)}, in {report.seconds:.1f} s."
    if report.sampled:
        yield f"Sampled: {_counts(report.sampled)}."
    if report.in_flight:
        yield f"In flight, which is no finding: {_counts(report.in_flight)}. Use --wait to wait for it."
    for name, why in report.left_out.items():
        yield f"Not compared of {name}: {why}."
    if report.repaired is not None:
        yield f"Sent again: {report.repaired:,} events."
    yield "Nothing is missing, double, different, stuck or forged." if report.ok else "Something is wrong: see above."


def _counts(counts: Any) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return "" if value is None else str(value)
