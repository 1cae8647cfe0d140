"""`fundlyhub demo`: the whole system on made-up traffic, and every number checked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from fundlyhub.cli.output import Answer, Table, json_option, say
from fundlyhub.cli.progress import Tell, progress_bar
from fundlyhub.cli.up import addresses, for_another_shell, tell_of_death, tell_secrets
from fundlyhub.cli.wiring import stop_on_signals
from fundlyhub.demo import api
from fundlyhub.demo.report import Result, report
from fundlyhub.demo.run import Demo, Progress, Stopped
from fundlyhub.embedded.holding import claim_for_demo, of_checkout
from fundlyhub.embedded.postgres import forget
from fundlyhub.embedded.stack import DEFAULT_PARTS, Stack
from fundlyhub.settings import get_settings

# Its people live in a year of their own, and are told all the same.
LATE = {"FUNDLYHUB_NOTIFICATION_MAX_AGE": "0", "FUNDLYHUB_SIGN_IN_MAX_AGE": "0"}
# It also makes months of gifts within minutes.
CEILINGS = {f"FUNDLYHUB_{channel}_CEILING": "0/hour 0/day" for channel in ("EMAIL", "PUSH", "SMS")}
FILES = {f"FUNDLYHUB_{channel}_BACKEND": "file" for channel in ("EMAIL", "PUSH", "SMS")}
"""Made-up people must not be written to, whatever this machine is set up for."""
TOP = 5
"""Campaigns in the table."""


@click.command("demo")
@click.option("--events", type=click.IntRange(100, 10_000_000), help="By default 4,000, or 2,000 with --api.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed generates the same events.")
@click.option("--keep", is_flag=True, help="Keep running afterwards, until Ctrl-C.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the demo's servers; it is emptied first.")
@click.option("--outage/--no-outage", default=True, show_default=True, help="Simulate an outage of the mail provider.")
@click.option("--api", "through_api", is_flag=True, help="Publish through the example API service, over HTTP.")
@json_option
def command(
    events: int | None, seed: int, keep: bool, data_dir: Path | None, outage: bool, through_api: bool, as_json: bool
) -> None:
    """Start the platform, publish generated business transactions, and verify every effect of the processors.

    Statistics, subscriptions, counts, feeds, search results and messages are compared with a computation from
    the business tables. The exit status is 1 if anything differs. Servers that FUNDLYHUB_* settings name are used;
    only the events of this run count there. No message leaves this machine: messages are written to files, and
    during the outage they go to a local provider.
    """
    if through_api:
        api.require()
    stop = stop_on_signals(limit=None)
    settings = get_settings()
    # Of each checkout its own: two of them may run side by side.
    folder = (data_dir or settings.data_dir / "demo" / of_checkout()).resolve()
    # The demo uses no streams, and entries on a given server are not its own. Flower is of use only with --keep.
    parts = [part for part in DEFAULT_PARTS if part != "ingest" and (keep or part not in ("console", "flower"))]
    settings = settings.model_copy(update={"data_dir": folder})
    variables = {
        **FILES,
        **LATE,
        **CEILINGS,
        **({"FUNDLYHUB_MIRROR": api.MIRROR} if through_api and not settings.mirror else {}),
    }
    stack = Stack(settings, only=parts, variables=variables, on_death=tell_of_death)
    stack.take_folder()
    claim_for_demo(folder)
    _empty(folder)
    with stack:
        with progress_bar("Demo") as tell:
            display = _Display(tell)
            display.say("starting the servers")
            stack.start_servers()
            stack.migrate()
            display.say("starting relay and worker")
            stack.start_services()
            url = api.start(stack) if through_api else None
            count = events or (2_000 if through_api else 4_000)
            try:
                result = Demo(stack, count, seed, stop, display.show, outage=outage, api=url).run()
            except Stopped:
                say("Stopped before the end: nothing was verified.", err=True)
                sys.exit(130)
            found = report(result, seed, stack.settings.broker.partition(":")[0], through_api)
        Answer(found, *_parts(found, result)).print(as_json)
        if keep:
            stack.restart_workers()  # after an outage it still sends to the provider that is gone
            _keep(stack, stop, url)
    sys.exit(0 if found["verified"] else 1)


class _Display:
    """Progress on a bar; where that is no terminal, a line for each phase."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._told = tell, ""

    def say(self, what: str, done: int = 0, total: int = 0) -> None:
        """Tell what is going on."""
        self._tell(f"demo: {what}", done, total)
        if not sys.stderr.isatty():
            say(f"Demo: {what} ...", err=True)

    def show(self, now: Progress) -> None:
        """Tell where the run is."""
        if sys.stderr.isatty() or self._told != now.phase:
            self._told = now.phase
            made = f"{now.committed:,} committed, {now.applied:,} of {now.wanted:,} effects made"
            self.say(f"{now.phase}; {made}", now.applied, now.wanted)


def _parts(found: dict[str, Any], result: Result) -> Iterator[str | Table]:
    sides = result.comparison
    biggest = sorted(sides.expected, key=lambda key: sides.expected[key][1], reverse=True)[:TOP]
    nothing = (None,) * 9
    rows = []
    for key in biggest:
        should, is_ = sides.expected[key], sides.found.get(key, nothing)
        rows.append(
            (sides.titles[key[0]], key[1], should[1], is_[1], str(should[0]), str(is_[0]), _mark(should == is_))
        )
    rows.append(
        ("all", f"{len(sides.expected)} rows", sum(n[1] for n in sides.expected.values()),
         sum(n[1] for n in sides.found.values()), "", "", _mark(found["verified"]))
    )  # fmt: skip
    yield Table(
        f"Verified: {found['numbers']:,} facts of {found['campaigns']:,} campaigns and their people, "
        f"{len(found['mismatches'])} differ",
        ("campaign", "currency", "donations expected", "found", "raised expected", "found", ""),
        rows,
    )
    compared = ", ".join(f"{count:,} {name}" for name, count in found["verify"].items())
    yield f"fundlyhub verify compared {compared} with the log."
    for item in found["mismatches"][:20]:
        yield "{what}: expected {expected}, found {found}".format(**item)
    yield ("Checked: " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found["checked"].items()))
    yield from _messages(found)
    latency = found["latency_ms"]
    yield (
        f"{found['events']:,} events committed ({found['rolled_back']:,} more rolled back, {found['duplicates']:,} "
        f"published twice); {found['applied']:,} applied, with {found['effects']:,} effects, "
        f"{found['passed_over']:,} wanted by no processor.\n"
        f"Whole system, publishing included: {found['whole_events_per_s']:,.0f} events/s from the first commit to the "
        f"last effect or message, {found['throughput_events_per_s']:,.0f} to the last write or projection.\n"
        "Whole system at 50 transactions/s, commit to the last write or projection: "
        f"p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms.\n"
        f"Clock: {found['clock']}. Broker: {found['broker']}. Seed {found['seed']}."
        f"{' Published by the example API service, over HTTP.' if found['api'] else ''}"
    )


def _messages(found: dict[str, Any]) -> Iterator[str]:
    sent = ", ".join(f"{count:,} by {channel}" for channel, count in found["messages"].items())
    yield f"Messages sent, each once: {sent}."
    outage = found["outage"]
    if outage is None:
        yield "No outage was shown: it was not wanted, or fundlyhub[sendgrid] is not installed."
        return
    yield (
        f"Outage of the mail provider for {outage['seconds_down']} s with {outage['mails']} mails: "
        f"{outage['refused']} requests were refused; its breaker went {' → '.join(outage['breaker'])}."
    )


def _mark(equal: bool) -> str:
    return "equal" if equal else "DIFFERS"


def _keep(stack: Stack, stop: Any, url: str | None) -> None:
    where = {**addresses(stack), **({"api_url": url} if url else {})}
    Table("Still up", ("what", "where"), where.items()).print()
    say(f"In another shell:  {for_another_shell(where)}  and then  fundlyhub status\nCtrl-C ends.", err=True)
    tell_secrets(stack)
    stack.supervisor.watch(stop)


def _empty(folder: Path) -> None:
    """The demo's numbers are its own: what an earlier run left goes, but for the lock that we hold."""
    forget(folder / "postgres")
    for name in ("valkey", "log", "outbox", "console", "flower"):
        shutil.rmtree(folder / name, ignore_errors=True)
