"""The public names as a page, made from their docstrings: ``python -m tests.docs.api_reference`` writes it."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from fundlyhub.events import payload
from fundlyhub.processing import AggregateRows, DerivedTable
from fundlyhub.processing.processor import Processor
from tests.support import ROOT

PAGE = ROOT / "docs" / "api-reference.md"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what stands below it, where its names are imported from, the names, and methods of some of them."""

    title: str
    text: str
    module: str
    names: tuple[str, ...]
    methods: tuple[str, ...] = ()


SECTIONS = (
    Section(
        "Publishing",
        "[publishing.md](publishing.md) says what each way of publishing guarantees. The payload classes of all event\n"
        "types are imported from `fundlyhub` too; [events.md](events.md) lists them.",
        "fundlyhub",
        ("publish_event", "publish_events", "publish_event_async", "Event", "EventType"),
        ("Event.of",),
    ),
    Section(
        "Read your writes",
        "[publishing.md](publishing.md#waiting-until-it-is-applied) says what each answer means, and which rights it "
        "needs.",
        "fundlyhub",
        ("wait_applied", "wait_applied_async", "Applied"),
    ),
    Section(
        "Processors",
        "[processors.md](processors.md) builds a complete processor. A class registers when its module is imported.",
        "fundlyhub",
        ("WriteProcessor", "ProjectionProcessor", "NotificationProcessor", "BroadcastProcessor", "Delivery",
         "DerivedTable", "AggregateRows", "paused_meanwhile", "Paused"),
        ("WriteProcessor.handle", "WriteProcessor.handle_batch", "WriteProcessor.afterwards",
         "WriteProcessor.has_more", "NotificationProcessor.deliver"),
    ),
    Section(
        "What a handler raises",
        "Any other error counts as transient. [failures.md](failures.md#the-outcomes) has all outcomes.",
        "fundlyhub",
        ("Transient", "Permanent", "Snooze", "OutcomeUnknown"),
    ),
    Section(
        "What publishing raises",
        "`fundlyhub.errors` has the whole tree of errors.",
        "fundlyhub",
        ("FundlyHubError", "InvalidEvent", "UnknownEventType", "UnknownVersion", "UnreadableEvent", "ConflictingEvent",
         "Unavailable", "NotMigrated", "WrongUse"),
    ),
    Section(
        "Databases",
        "",
        "fundlyhub",
        ("get_engine", "renew_after_fork", "app_metadata", "analytics_metadata"),
    ),
    Section(
        "Event types",
        "[event-types.md](event-types.md) says how a type is added.",
        "fundlyhub.events.payload",
        ("Payload", "MoneyPayload", "WireModel", "Changes", "BrokenRule", "Personal", "Impersonal"),
    ),
    Section(
        "New versions of event types",
        "[event-types.md](event-types.md#a-new-version) says when a type needs a new version.",
        "fundlyhub",
        ("upcasts",),
    ),
    Section(
        "Messages",
        "Ours are lines of `NOTICES` ([messages.md](messages.md#add-a-message)); another package adds its own\n"
        "([outside.md](outside.md#messages)).",
        "fundlyhub.messages",
        ("Notice", "add_message"),
    ),
)  # fmt: skip

_HEAD = """\
# API reference

This page is generated from the docstrings by `make docs`; do not edit it. [public-api.md](public-api.md) says how these
names may change. The examples run in order, after these lines:

```python
from uuid import UUID

from fundlyhub import *
from sqlalchemy.orm import Session

ann, bo, wells, request_id = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
payload = UserFollowedCampaign(user_id=ann, campaign_id=wells, follow_type="user")
session = Session(get_engine("events"))
```
"""


def page() -> str:
    """docs/api-reference.md, with its examples in the format of all code here."""
    text = "\n".join([_HEAD, *_contents(), *(line for section in SECTIONS for line in _section(section))]) + "\n"
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PAGE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _contents() -> Iterator[str]:
    for section in SECTIONS:
        names = ", ".join(f"[`{name}`](#{name.lower()})" for name in section.names)
        yield f"* {section.title}: {names}"
    yield "* [What all processors share](#what-all-processors-share), [Field types](#field-types)"


def _section(section: Section) -> Iterator[str]:
    yield f"\n## {section.title}\n\nImport from `{section.module}`.\n{section.text}".rstrip()
    module = import_module(section.module)
    for name in section.names:
        yield f"\n### {name}\n"
        yield _shown(module, name)
    for path in section.methods:
        owner, _, name = path.partition(".")
        yield f"\n### {path}\n"
        yield _shown(getattr(module, owner), name)
    if section.title == "Processors":
        yield from _what_processors_share()
    if section.title == "Event types":
        yield from _field_types()


def _shown(owner: Any, name: str) -> str:
    """What its docstring says, below its parameters where it is a function."""
    thing = getattr(owner, name)
    if inspect.isclass(thing):
        return markdown(inspect.getdoc(thing) or "")
    if callable(thing):
        return f"`{_signature(name, thing)}`\n\n{markdown(inspect.getdoc(thing) or '')}"
    return markdown(dict(said_below("fundlyhub.database.metadata"))[name])


def _signature(name: str, function: Any) -> str:
    names = [
        f"{'*' if one.kind is one.VAR_POSITIONAL else ''}{one.name}" + ("" if one.default is one.empty else "=…")
        for one in inspect.signature(function).parameters.values()
        if one.name != "self"
    ]
    return f"{name}({', '.join(names)})"


def _what_processors_share() -> Iterator[str]:
    yield f"\n### What all processors share\n\n{markdown(inspect.getdoc(Processor) or '')}\n"
    yield "| attribute | default | meaning |\n|---|---|---|"
    for name, text in said_below(Processor.__module__, "Processor"):
        default = getattr(Processor, name, "")
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        yield _row(f"`{name}`", f"`{shown}`" if shown else "", text)
    for cls, article in ((DerivedTable, "a"), (AggregateRows, "an")):
        yield f"\n### What {article} {cls.__name__} says\n\n| field | meaning |\n|---|---|"
        for name, text in said_below(cls.__module__, cls.__name__):
            yield _row(f"`{name}`", text)


def _field_types() -> Iterator[str]:
    yield "\n### Field types\n\n| type | what it is |\n|---|---|"
    for name, text in said_below("fundlyhub.events.fields"):
        if name in payload.__all__ and not name.isupper():
            yield _row(f"`{name}`", text)


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(markdown(cell).split()) for cell in cells)} |"


def said_below(module: str, owner: str | None = None) -> Iterator[tuple[str, str]]:
    """The variables of a module or of a class in it that have a text below them, with that text."""
    loaded: ModuleType = import_module(module)
    tree: ast.Module | ast.ClassDef = ast.parse(inspect.getsource(loaded))
    if owner is not None:
        (tree,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner)
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(node, ast.AnnAssign | ast.Assign):
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            yield target.id, inspect.cleandoc(str(after.value.value))


def markdown(text: str) -> str:
    """A docstring as Markdown: its code in single backquotes, its examples as blocks of Python."""
    text = re.sub(r"(?m)(?<=\S)::$", ":\n\n::", text) + "\n"
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    return re.sub(r"(?m)^::\n\n((?: {4}.*\n|\n)+)", _example, text).strip()


def _example(found: re.Match[str]) -> str:
    return f"```python\n{textwrap.dedent(found[1]).strip()}\n```\n\n"


if __name__ == "__main__":
    PAGE.write_text(page())
