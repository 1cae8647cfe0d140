"""`fundlyhub people`: where data about people is, what is held about a person, and its erasure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import click

from fundlyhub.cli.databases import ready, transaction
from fundlyhub.cli.options import by_option, optional_reason
from fundlyhub.cli.output import Answer, Aside, Table, answers
from fundlyhub.cli.stoppable import stoppable_progress
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database import disclosed
from fundlyhub.errors import WrongUse
from fundlyhub.people.checking import REMAINS, check
from fundlyhub.people.due import due, erase_due
from fundlyhub.people.erasing import Erased, again, erase, preview
from fundlyhub.people.finding import person_of
from fundlyhub.people.person import Person
from fundlyhub.people.places import NOTHING, document, markdown, places
from fundlyhub.people.showing import show
from fundlyhub.settings import BRANCHES, get_settings


@click.group("people")
def command() -> None:
    """Show where data about people is, show what is held about one person, and erase it."""


@command.command("where")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the page docs/people-where.md.")
@answers
def where(as_markdown: bool) -> Answer:
    """List every place that holds data about people, by table and column, and what an erasure does with it."""
    if as_markdown:
        return Answer(document(), markdown().rstrip("\n"))
    columns = ("where", "column or field", "says", "whose", "when erased")
    return Answer(document(), Table("Data about people", columns, places()), f"{NOTHING[0].upper()}{NOTHING[1:]}.")


@command.command("erase")
@click.argument("given", metavar="[USER|ADDRESS]", required=False)
@click.option("--again", "repeat", is_flag=True, help="Apply erasures that a restored database lacks.")
@click.option("--due", "deleted", is_flag=True, help="Erase users whose deletion is older than FUNDLYHUB_ERASE_AFTER.")
@click.option("--all", "every", is_flag=True, help="With --again: apply all erasures, whatever a database says.")
@click.option("--check", "look", is_flag=True, help="Erase nothing: search everything for what is left of the person.")
@click.option("--value", "values", multiple=True, metavar="TEXT", help="With --check: words of theirs, such as a name.")
@click.option("--dry-run", is_flag=True, help="Show what would be erased; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_option
@optional_reason
@answers
def take_away(
    given: str | None, repeat: bool, deleted: bool, every: bool, look: bool, values: tuple[str, ...], dry_run: bool,
    yes: bool, who: str, reason: str | None,
) -> Answer:  # fmt: skip
    """Erase a person by the user's id, or by an e-mail address or a phone number.

    Their words go out of the log, its archives, the read models, the search engine, mirrored streams and the outbox
    folder. Facts stay: ids, amounts, campaigns and times, so that every number stays right. You can stop it at any
    time: the next run goes on. Workers and publishers may run meanwhile.
    """
    if sum((bool(given), repeat, deleted)) != 1 or (every and not repeat):
        raise WrongUse("give a user's id or an address, or --again, or --due")
    ready(*BRANCHES)
    settings, processors = get_settings(), known_processors()
    if deleted and dry_run:
        return Answer(
            [str(user) for user in due(settings, _grace())], f"{len(due(settings, _grace())):,} users are due."
        )
    if repeat or deleted:
        with stoppable_progress() as tell:
            if repeat:
                done = again(settings, processors, all=every, tell=tell)
            else:
                done = erase_due(settings, processors, _grace(), tell=tell)
        parts = [part for one in done for part in _parts(one)] or ["Nobody is to be erased."]
        return Answer([_document(one) for one in done], *parts, good=all(one.whole for one in done))
    person = _person(given or "")
    if look:
        return _checked(person, values)
    if dry_run:
        with stoppable_progress() as tell:
            events = preview(settings, person, tell=tell)
        return Answer(
            {"events": events}, Table("Would be erased", ("events of type", "number"), sorted(events.items()))
        )
    if reason is None:
        raise WrongUse("--reason: say why; do not name the person there")
    if not yes:
        click.confirm("This cannot be undone. Erase the person?", abort=True, err=True)
    with stoppable_progress() as tell:
        one = erase(settings, processors, person, who=who, reason=reason, tell=tell)
    return Answer(_document(one), *_parts(one), good=one.whole)


def _grace() -> timedelta:
    days = get_settings().erase_after
    if days is None:
        raise WrongUse("--due: set FUNDLYHUB_ERASE_AFTER")
    return timedelta(days=days)


def _checked(person: Person, values: tuple[str, ...]) -> Answer:
    with stoppable_progress() as tell:
        left = check(get_settings(), person, values, tell=tell)
    document = {"left": [one._asdict() for one in left], "remains": REMAINS}
    parts: list[str | Table] = [Table("Left of the person", ("where", "number"), left)] if left else []
    parts += [] if left else ["Nothing is left of the person."]
    return Answer(document, *parts, "By law or by choice remain:", *(f"  {one}" for one in REMAINS), good=not left)


def _person(given: str) -> Person:
    with transaction("app") as app:
        return person_of(app, given, get_settings().secret)


def _document(one: Erased) -> dict[str, object]:
    return {
        "erasure": str(one.erasure.id), "up_to": one.erasure.up_to, "events": dict(one.events),
        "changed": {name: number for name, number in one.changed.items() if number}, "away": one.away,
        "unknown": one.unknown,
    }  # fmt: skip


def _parts(one: Erased) -> Iterator[str | Table]:
    rows = [(name, number) for name, number in sorted(one.changed.items()) if number]
    yield Table("Erased", ("of", "number"), rows)
    yield f"{one.events.total():,} events are about the person, up to position {one.erasure.up_to:,}."
    for path in one.away:
        yield Aside(f"{path} is not there as it was written: put it back, and run it again")
    for name in one.unknown:
        yield Aside(f"{name} is registered, and its code is not here: its tables may hold words of the person. Run it "
                    "again where that is installed, or delete its row from events.processors")  # fmt: skip


@command.command("show")
@click.argument("given", metavar="USER|ADDRESS")
@by_option
@answers
def held(given: str, who: str) -> Answer:
    """Collect what is held about a person: rows by table, and the events that are about them. It leaves an audit line.

    --json has all of it, as an answer to a person who asks; without it, only numbers are printed.
    """
    ready(*BRANCHES)
    person = _person(given)
    with transaction("events") as db:
        disclosed.note(db, who=who, command="people show", what=f"a person: {sorted(person.hashes)[0]}")
    with stoppable_progress() as tell:
        found = show(get_settings(), person, tell=tell)
    rows = [(table, len(some)) for table, some in sorted(found["tables"].items())]
    rows += [(name, len(found[name])) for name in ("events", "archived", "quarantine")]
    return Answer(found, Table("Held about the person", ("where", "rows"), rows))
