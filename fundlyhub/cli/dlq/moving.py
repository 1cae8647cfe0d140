"""`fundlyhub dlq export` and `import`: letters as lines of JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from fundlyhub.cli.audit import disclose
from fundlyhub.cli.databases import ready, transaction
from fundlyhub.cli.dlq.selecting import STATES, filters, in_state
from fundlyhub.cli.lines import read_lines
from fundlyhub.cli.options import by_option, state_option
from fundlyhub.cli.output import Answer, answers, say
from fundlyhub.errors import FundlyHubError
from fundlyhub.printable import printable_json
from fundlyhub.private_files import replacing
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, ImportReport


@click.command("export", short_help="Write letters to a file, one JSON object a line.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@filters
@state_option(STATES, default="all")
@click.option("--payload", is_flag=True, help="Write the payloads too: they may hold personal data.")
@by_option
def export(file: str, wanted: Filter, state: str, payload: bool, who: str) -> None:
    """Write letters to FILE (or - for stdout), one JSON object a line.

    Payloads are written only with --payload, and corrected ones with them; `fundlyhub audit` tells who did.
    Only this account can read FILE, which takes the place of what is there once it is whole.
    """
    disclose(who, f"{state} dead letters, {'with' if payload else 'without'} payloads, to {file}")
    wanted, written = in_state(wanted, state), 0
    with transaction("events") as db, _opened(file) as out:
        for line in dead_letters.export_lines(db, dead_letters.in_full(db, wanted), payload=payload):
            out.write(printable_json(line.decode()).encode())
            written += 1
    say(f"{written:,} {'letter' if written == 1 else 'letters'} written", err=True)


@click.command("import", short_help="Import the letters of an export.")
@click.argument("file", type=click.File("rb"))
@by_option
@answers
def import_(file: BinaryIO, who: str) -> Answer:
    """Import the letters of an export from FILE (or - for stdin).

    Bad lines are reported with their number and the reason, and make the exit status 1; all others are imported. A
    letter that has changed since the export is left alone, so importing a file twice is harmless. Nothing is replayed.
    """
    ready("events")
    return read_lines("Importing", dead_letters.import_lines(file, who=who), ImportReport(), "imported", "unchanged")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with replacing(Path(file)) as out:
            yield out
    except OSError as error:
        raise FundlyHubError(f"cannot write {file}: {error.strerror}") from None
