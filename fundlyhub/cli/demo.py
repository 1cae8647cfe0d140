"""`fundlyhub demo`: the whole system on made-up traffic, and every number checked."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.cli.up import addresses, for_another_shell, tell_password
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
FILES = {f"FUNDLYHUB_{channel}_BACKEND": "file" for channel in ("EMAIL", "PUSH", "SMS")}
"""Made-up people must not be written to, whatever this machine is set up for."""
TOP = 5
"""Campaigns in the table."""


@click.command("demo")
@click.option("--events", type=click.IntRange(100, 10_000_000), help="To publish: 20,000, or 2,000 with --api.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same stream.")
@click.option("--keep", is_flag=True, help="Stay up afterwards, until Ctrl-C.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the demo's servers; emptied at the start.")
@click.option("--outage/--no-outage", default=True, show_default=True, help="Let the mail provider fail for a while.")
@click.option("--api", "through_api", is_flag=True, help="Publish through the example API service, over HTTP.")
@json_option
def command(
    events: int | None, seed: int, keep: bool, data_dir: Path | None, outage: bool, through_api: bool, as_json: bool
) -> None:
    """Bring all up, publish a stream of business transactions, and verify all that the processors do.

    Statistics, subscriptions, counts, feeds, search results and messages are compared with a computation from
    the business tables. Exit status 1 when anything differs. Servers that FUNDLYHUB_* settings name are used;
    there only this run's events count. Nobody is written to: messages become files, and during the outage they go
    to a provider on this machine.
    """
    if through_api:
        api.require()
    stop = stop_on_signals(limit=None)
    settings = get_settings()
    # Of each checkout its own: two of them may run side by side.
    folder = (data_dir or settings.data_dir / "demo" / of_checkout()).resolve()
    # Nothing comes by streams, and what lies in a given server's is not the demo's; Flower nobody would have time for.
    parts = [part for part in DEFAULT_PARTS if part != "ingest" and (keep or part != "flower")]
    settings = settings.model_copy(update={"data_dir": folder})
    variables = {**FILES, **LATE, **({"FUNDLYHUB_MIRROR": api.MIRROR} if through_api and not settings.mirror else {})}
    stack = Stack(settings, only=parts, variables=variables, on_death=_tell_of_death)
    stack.take_folder()
    claim_for_demo(folder)
    _empty(folder)
    with stack, _Display() as display:
        display.say("starting the servers")
        stack.start_servers()
        stack.migrate()
        display.say("starting relay and worker")
        stack.start_services()
        url = api.start(stack) if through_api else None
        count = events or (2_000 if through_api else 20_000)
        try:
            result = Demo(stack, count, seed, stop, display.show, outage=outage, api=url).run()
        except Stopped:
            click.echo("Stopped before the end: nothing was verified.", err=True)
            sys.exit(130)
        found = report(result, seed, stack.settings.broker.partition(":")[0], through_api)
        display.close()
        print_json(found) if as_json else _print(found, result)
        if keep:
            stack.start_worker()  # after an outage it still sends to the provider that is gone
            _keep(stack, stop, url)
    sys.exit(0 if found["verified"] else 1)


class _Display:
    """Live progress on stderr; a line now and then when that is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = Live(console=console, transient=True, refresh_per_second=8) if console.is_terminal else None
        self._told = ""

    def __enter__(self) -> _Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the display away."""
        if self._live:
            self._live.stop()

    def say(self, what: str) -> None:
        """One line on what is going on."""
        if self._live:
            self._live.update(f"Demo: {what} ...")
        else:
            click.echo(f"Demo: {what} ...", err=True)

    def show(self, now: Progress) -> None:
        """Where the run is."""
        if self._live:
            table = Table("phase", "committed", "not relayed", "effects", "of")
            table.add_row(now.phase, *(f"{n:,}" for n in (now.committed, now.unrelayed, now.applied, now.wanted)))
            self._live.update(table)
        elif self._told != now.phase:
            self._told = now.phase
            self.say(f"{now.phase}; {now.committed:,} committed, {now.applied:,} of {now.wanted:,} effects made")


def _print(found: dict[str, Any], result: Result) -> None:
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
    print_table(
        f"Verified: {found['numbers']:,} facts of {found['campaigns']:,} campaigns and their people, "
        f"{len(found['mismatches'])} differ",
        ("campaign", "currency", "donations expected", "found", "raised expected", "found", ""),
        rows,
    )
    compared = ", ".join(f"{count:,} {name}" for name, count in found["verify"].items())
    click.echo(f"fundlyhub verify compared {compared} with the log.")
    for item in found["mismatches"][:20]:
        click.echo("{what}: expected {expected}, found {found}".format(**item))
    click.echo(
        "Checked: " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found["checked"].items())
    )
    _print_messages(found)
    latency = found["latency_ms"]
    click.echo(
        f"{found['events']:,} events committed ({found['rolled_back']:,} more rolled back, {found['duplicates']:,} "
        f"published twice); {found['applied']:,} applied, with {found['effects']:,} effects, "
        f"{found['passed_over']:,} wanted by no processor.\n"
        f"Throughput {found['throughput_events_per_s']:,.0f} events/s from the first commit to the last effect, "
        "publishing included.\n"
        "Latency from commit to effect at 50 transactions/s: "
        f"p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms.\n"
        f"Clock: {found['clock']}. Broker: {found['broker']}. Seed {found['seed']}."
        f"{' Published by the example API service, over HTTP.' if found['api'] else ''}"
    )


def _print_messages(found: dict[str, Any]) -> None:
    sent = ", ".join(f"{count:,} by {channel}" for channel, count in found["messages"].items())
    click.echo(f"Messages sent, each once: {sent}.")
    outage = found["outage"]
    if outage is None:
        click.echo("No outage was shown: it was not wanted, or fundlyhub[sendgrid] is not installed.")
        return
    click.echo(
        f"Outage of the mail provider for {outage['seconds_down']} s with {outage['mails']} mails: "
        f"{outage['refused']} requests were refused; its breaker went {' → '.join(outage['breaker'])}."
    )


def _mark(equal: bool) -> str:
    return "equal" if equal else "DIFFERS"


def _keep(stack: Stack, stop: Any, url: str | None) -> None:
    where = {**addresses(stack), **({"api_url": url} if url else {})}
    print_table("Still up", ("what", "where"), list(where.items()))
    click.echo(f"In another shell:  {for_another_shell(where)}  and then  fundlyhub status\nCtrl-C ends.", err=True)
    tell_password(stack)
    stack.supervisor.watch(stop)


def _empty(folder: Path) -> None:
    """The demo's numbers are its own: what an earlier run left goes, but for the lock that we hold."""
    forget(folder / "postgres")
    for name in ("valkey", "log", "outbox", "flower"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _tell_of_death(name: str, status: int, wait: float) -> None:
    click.echo(f"{name} ended with status {status}; starting it again in {wait:.1f} s", err=True)
