"""Writes docs/roles-rights.md: each role with its rights, as `fundlyhub migrate --roles` grants them."""

from __future__ import annotations

from collections.abc import Iterator

from fundlyhub.database.roles import OWNER, PREFIX, PURPOSE, RIGHTS
from fundlyhub.database.roles.declared import OTHERS, OWNERS_ALONE
from fundlyhub.database.roles.shared import Rights
from tests.support import ROOT

PAGE = ROOT / "docs" / "roles-rights.md"
TOP = """# Rights of the roles

Generated from `fundlyhub/database/roles/declared.py` by `make docs`; [roles.md](roles.md) says how roles are made and
used. A test compares this declaration with the catalog of a database, and fails for a table, sequence or function that
has no line.

"""


def page() -> str:
    """The page as it should be."""
    parts = [f"## `{PREFIX}{role}`\n\n{_sentence(PURPOSE[role])}\n\n{''.join(_table(RIGHTS[role]))}" for role in RIGHTS]
    parts.append(f"## `{OWNER}`\n\n{_sentence(PURPOSE['owner'])} It owns the three schemas and all that is in them.\n")
    alone = "".join(f"| `{name}` | {why} |\n" for name, why in sorted(OWNERS_ALONE.items()))
    parts.append(f"No other role has a right on these:\n\n| object | why |\n|---|---|\n{alone}")
    others = ", ".join(f"`{PREFIX}{role}`: {right}" for role, right in OTHERS.items())
    parts.append(f"## Tables of other packages\n\nIn the schemas `app` and `analytics`: {others}.\n")
    return TOP + "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if not text.startswith("`") else f"{text}."


def _table(rights: Rights) -> Iterator[str]:
    yield "| right | on |\n|---|---|\n"
    together: dict[str, list[str]] = {}
    for name, right in sorted(rights.items()):
        together.setdefault(right, []).append(f"`{name}`")
    for right, names in sorted(together.items()):
        yield f"| {right} | {', '.join(names)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
