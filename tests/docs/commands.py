"""Commands as pages show them: read like a shell would, but only as much of it as pages need."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

_HERE = re.compile(r"<<'(\w+)'")
_REFUSED = re.compile("fundlyhub: ")
_PERHAPS = re.compile("stopped: |[0-9]+: is ")
"""What is printed under a command that is refused, and under one that fails or not as letters go."""
_VARIABLE = re.compile(r"[A-Z_]+=.*")
RUN = ("fundlyhub", "celery", "pytest", "pip")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, the variables before them, its stdin, and whether it is shown to fail (None: perhaps)."""

    words: tuple[str, ...]
    variables: Mapping[str, str]
    stdin: str
    fails: bool | None = False


def commands(text: str, *, prompt: str = "") -> Iterator[Command]:
    """The commands of a block; with a prompt only the lines that begin with it, the others are what they printed.

    Knows comments, quotes, a backslash at the end of a line, variables before a command and here-documents. Raises
    ValueError for a line that the tests cannot run.
    """
    lines = deque(text.splitlines())
    while lines:
        line = lines.popleft()
        if not line.startswith(prompt):
            continue
        line = line.removeprefix(prompt)
        while line.endswith("\\"):
            line = line[:-1] + lines.popleft()
        here = _HERE.search(line)
        stdin = "" if here is None else "".join(_until(here[1], lines))
        words = shlex.split(_HERE.sub("", line), comments=True)
        if words:
            printed = list(takewhile(lambda one: not one.startswith(prompt), lines)) if prompt else []
            yield _command(line, words, stdin, fails=_fails(printed))


def _fails(printed: list[str]) -> bool | None:
    if any(_REFUSED.match(line) for line in printed):
        return True
    return None if any(_PERHAPS.match(line) for line in printed) else False


def _until(end: str, lines: deque[str]) -> Iterator[str]:
    while lines:
        line = lines.popleft()
        if line == end:
            return
        yield line + "\n"
    raise ValueError(f"no line {end!r} ends the text")


def _command(line: str, words: list[str], stdin: str, fails: bool | None) -> Command:
    variables = {}
    while words and _VARIABLE.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    program = words[0].removeprefix(".venv/bin/") if words else ""
    if program not in RUN:
        raise ValueError(f"{line.strip()!r} is no command that the tests run ({', '.join(RUN)}): say why not, above it")
    return Command((program, *words[1:]), variables, stdin, fails)
