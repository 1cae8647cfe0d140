"""`fundlyhub up`: everything that is not given, on this machine, until Ctrl-C."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from fundlyhub.cli.output import Answer, Table, json_option, say
from fundlyhub.cli.wiring import stop_on_signals
from fundlyhub.embedded.flower import USER
from fundlyhub.embedded.stack import DEFAULT_PARTS, PARTS, Stack
from fundlyhub.settings import get_settings

_URL = re.compile(r"(?P<scheme>[a-z0-9+]+)://(?:(?P<user>[^:@/?#]*)(?::[^@/?#]*)?@)?(?P<rest>[^@?#]*)(?:\?[^@]*)?")


@click.command("up")
@click.option("--only", metavar="PARTS", help=f"Some of {','.join(PARTS)}; by default, all that are installed.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the servers' data and the logs.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=2, show_default=True, help="Worker processes.")
@json_option
def command(only: str | None, data_dir: Path | None, concurrency: int, as_json: bool) -> None:
    """Start PostgreSQL, Valkey, relay, ingest, workers, console and Flower, and keep them running until Ctrl-C.

    Servers that FUNDLYHUB_* settings name are used and not started. A process that dies is started again. The console
    and Flower need their extras, `fundlyhub[console,flower]`.
    """
    stop = stop_on_signals(limit=None)
    settings = get_settings()
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir.resolve()})
    parts = [part.strip() for part in only.split(",")] if only else DEFAULT_PARTS
    with Stack(settings, only=parts, concurrency=concurrency, on_death=tell_of_death) as stack:
        say("Starting the servers ...", err=True)
        stack.start_servers()
        if stack.has_databases:
            stack.migrate()
        if not stop.is_set():
            say("Starting relay, ingest and worker ...", err=True)
            stack.start_services()
        found = addresses(stack)
        shell = f"Ctrl-C stops everything. For another shell:  {for_another_shell(found)}"
        Answer(found, Table("FundlyHub is up", ("what", "where"), list(found.items())), shell).print(as_json)
        tell_secrets(stack)
        stack.supervisor.watch(stop)
        say("Stopping ...", err=True)
        tell_what_is_left(stack)


def addresses(stack: Stack) -> dict[str, Any]:
    """Where everything is, without a password; those stand in the environment file, which only we may read."""
    file = stack.write_environment()
    shown = {name: without_password(value) for name, value in stack.servers().items()}
    processes = {name: f"process {pid}" for name, pid in stack.supervisor.processes().items()}
    return {
        **shown,
        **processes,
        **_pages(stack),
        "data": str(stack.folder),
        **({"postgres_data": str(stack.postgres.root)} if stack.postgres else {}),
        "logs": str(stack.folder / "log"),
        "environment": str(file),
    }


def tell_what_is_left(stack: Stack) -> None:
    """Stop everything, and say what had to be killed and what stays on disk."""
    for name in stack.stop():
        say(f"{name} did not end in time and was killed: what it was at is done again at the next start", err=True)
    kept = [str(stack.folder), *([str(stack.postgres.root)] if stack.postgres else [])]
    outside = [one for one in kept[1:] if not Path(one).is_relative_to(stack.folder)]
    say(f"Stopped. Kept for the next start, with all data and logs: {', '.join([kept[0], *outside])}", err=True)


def _pages(stack: Stack) -> dict[str, str]:
    found = {"console_url": stack.console.url} if stack.console else {}
    if stack.flower is not None:
        login = f"{USER}, password in {stack.flower.password_file}"
        found |= {"flower_url": stack.flower.url, "flower_login": login}
    return found


def tell_secrets(stack: Stack) -> None:
    """Show a link into the console, and Flower's password on the day that it is made; later it stands in its file."""
    if stack.console is not None:
        link = stack.console.link(stack.settings)
        say(f"The console, by a link that is good once, within half an hour:\n{link}", err=True)
    if stack.flower is not None and stack.flower.fresh_password is not None:
        say(f"Flower's password, made now and not shown again: {stack.flower.fresh_password}", err=True)


def for_another_shell(found: dict[str, Any]) -> str:
    """The command that makes another shell use the same servers."""
    return f"set -a; . {shlex.quote(found['environment'])}; set +a"


def without_password(secret: SecretStr) -> str:
    """A URL without its password and its parameters, which may hold one too; nothing of what is not plainly one."""
    url = _URL.fullmatch(secret.get_secret_value())
    if url is None:
        return "(given, not shown)"
    user = f"{url['user']}@" if url["user"] else ""
    return f"{url['scheme']}://{user}{url['rest']}"


def tell_of_death(name: str, status: int, wait: float) -> None:
    """Say that a process ended and is started again."""
    say(f"{name} ended with status {status}; starting it again in {wait:.1f} s", err=True)
