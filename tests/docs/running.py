"""Runs the blocks of one page, in order, as a reader would: a real platform, real processes, their exit status."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
import psycopg
import yaml

from fundlyhub.settings import Settings
from tests.docs.blocks import Block
from tests.docs.commands import Command, commands
from tests.docs.scenes import EDITOR, ROLES, STDIN, WORDS
from tests.support import ROOT
from tests.support.nursery import Child, Start
from tests.support.platform import Platform, wait_until

SERVING = ({"relay"}, {"ingest"}, {"webhooks"}, {"metrics"})
"""Commands without another word that serve until SIGTERM: they are started, and stopped once they have spoken."""


class Failed(AssertionError):
    """A block that does not do what its page says."""


def run_page(page: Path, blocks: Sequence[Block], platform: Platform) -> None:
    """Run all that is not excused. Raises Failed with the place of the first block that fails."""
    for block in blocks:
        if block.not_run is None and block.language in RUNNERS:
            try:
                RUNNERS[block.language](block, platform)
            except Failed:
                raise
            except Exception as error:
                raise Failed(f"{block.place}: {error}") from error
    run_python([block for block in blocks if block.language == "python" and block.not_run is None], page, platform)


def run_python(blocks: Sequence[Block], page: Path, platform: Platform) -> None:
    """All of a page's Python as one program, in a process of its own, with the page's line numbers."""
    if not blocks:
        return
    name = f"page_{page.stem.replace('-', '_')}"
    source = f"from tests.docs.scenes import names; globals().update(names({str(page.relative_to(ROOT))!r}))\n"
    lines = source.splitlines()
    for block in blocks:
        lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    (platform.folder / f"{name}.py").write_text("\n".join(lines) + "\n")
    status, said = _process(platform, name, [], {}, "")
    if status:
        raise Failed(f"{page.relative_to(ROOT)}: its Python ended with {status}:\n{said[-3000:]}")


def run_commands(block: Block, platform: Platform) -> None:
    """Each command to its end, or until it serves; the status must be 0."""
    for command in commands(block.text, prompt="$ " if block.language == "console" else ""):
        words = [WORDS.get(word, word) for word in command.words]
        status, said = _run(platform, words, command)
        if command.fails not in (None, status != 0):
            raise Failed(f"{block.place}: {' '.join(words)!r} ended with {status}:\n{said[-3000:]}")


def _run(platform: Platform, words: Sequence[str], command: Command) -> tuple[int, str]:
    module, *args = words
    if module == "pip":
        return check_extras(args), "these extras are not in pyproject.toml"
    if module == "celery" or (module == "fundlyhub" and set(args[:1]) in SERVING and not _ends(args)):
        return _serve(platform, module, args, command.variables)
    return _process(platform, module, args, command.variables, command.stdin or STDIN)


def _ends(args: Sequence[str]) -> bool:
    """Whether a command of those that serve does something else this time."""
    return "--once" in args or len([word for word in args if word.isalpha()]) > 1


def _serve(platform: Platform, module: str, args: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str]:
    """Start it, wait for its first words (a worker's are many), and stop it in order."""
    ready, more = (" ready.", ["-l", "INFO"]) if module == "celery" else ("", [])
    process = platform.start("page", [sys.executable, "-m", module, *args, *more], variables)
    wait_until(lambda: process.said(ready) and process.log.read_text(), what=f"{module} {' '.join(args)}")
    return process.terminate(), process.log.read_text()


def _process(
    platform: Platform, module: str, args: Sequence[str], variables: Mapping[str, str], stdin: str
) -> tuple[int, str]:
    given, said = platform.folder / "stdin", platform.folder / "said"
    given.write_text(stdin)
    said.write_text("")
    environment = {**platform.environment, "EDITOR": EDITOR, **variables}
    child = Child(Start(module, args, environment, platform.folder, given, said, said))
    try:
        return child.wait(60), said.read_text()
    finally:
        child.kill()


def run_sql(block: Block, platform: Platform) -> None:
    """In a transaction that is rolled back: a page's grants and rows are nobody's business afterwards."""
    with psycopg.connect(platform.dsn) as db:
        db.execute(ROLES.get(str(block.page.relative_to(ROOT)), "").encode())
        db.execute("SET LOCAL search_path = app, analytics, events")
        db.execute(block.text.encode())
        db.rollback()


def check_extras(args: Sequence[str]) -> int:
    """`pip install "fundlyhub[…]"`: nothing is fetched, but the extras must be there. 0 or 1, as a status."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = re.fullmatch(r"fundlyhub\[([a-z,]+)\]", args[-1])
    return int(args[0] != "install" or found is None or not set(found[1].split(",")) <= set(known))


def check_variables(block: Block, _: Platform) -> None:
    """Each line sets a setting that there is."""
    known = {f"FUNDLYHUB_{name.upper()}{end}" for name in Settings.model_fields for end in ("", "_FILE")}
    for line in block.text.splitlines():
        name = line.partition("=")[0]
        if name not in known:
            raise Failed(f"{block.place}: {name} is no setting")


def parse_toml(block: Block, _: Platform) -> None:
    """It is TOML."""
    tomllib.loads(block.text)


RUNNERS: Mapping[str, Callable[[Block, Platform], None]] = {
    "sql": run_sql,
    "sh": run_commands,
    "console": run_commands,
    "json": lambda block, _: orjson.loads(block.text),
    "yaml": lambda block, _: yaml.safe_load(block.text),
    "toml": parse_toml,
    "ini": check_variables,
}
"""What runs a block of each language; Python is run last, a page at once."""
