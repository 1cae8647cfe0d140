"""Tables that fit a terminal: what is copied stays in one piece, and what does not fit becomes records."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

SHORTEST_ID = 8
"""Characters of an id that a list shows at least."""
_NARROWEST = 24
"""A column of text is made no narrower than this: below it, a sentence is a column of shreds."""
_FRAME = 3
"""What a column's border and padding take."""


def short_ids(ids: Sequence[str | None]) -> list[str | None]:
    """The beginnings of ids, long enough to tell them apart; commands take them in place of the whole.

    >>> short_ids(["019acf30-5a11-7000-8000-000000000001", "019acf30-9d02-7000-8000-000000000002"])
    ['019acf30-5', '019acf30-9']
    """
    whole = {one for one in ids if one is not None}
    length = SHORTEST_ID
    while len({one[:length].rstrip("-") for one in whole}) < len(whole):
        length += 1
    return [None if one is None else one[:length].rstrip("-") for one in ids]


def fitted(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool],
    optional: Sequence[str], width: int,
) -> RenderableType:  # fmt: skip
    """A table within ``width``: without ``optional`` columns where it must be, the last one first; else records."""
    shown = list(range(len(columns)))
    leavable = [columns.index(name) for name in optional if name in columns]
    while (widths := _widths(columns, rows, shown, width)) is None and leavable:
        shown.remove(leavable.pop())
    if widths is None:
        return _records(title, columns, rows, width)
    table = Table(header_style="bold")
    for index, cells in zip(shown, widths, strict=True):
        justify: JustifyMethod = "right" if right[index] else "left"
        table.add_column(columns[index], justify=justify, overflow="fold", min_width=cells, max_width=cells)
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    parts: list[RenderableType] = [Text(title, style="bold"), table]
    if left_out := [name for index, name in enumerate(columns) if index not in shown]:
        parts.append(Text(f"Not shown: {', '.join(left_out)}. A wider terminal or --json shows all.", style="dim"))
    return Group(*parts)


def _widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int], width: int
) -> list[int] | None:
    """A width for each column; None when the narrowest do not fit. What is too much is taken from the widest."""
    cells = [[columns[index], *(row[index] for row in rows)] for index in shown]
    wanted = [max(max(map(cell_len, cell.splitlines() or [""])) for cell in column) for column in cells]
    least = [min(most, _least(column)) for column, most in zip(cells, wanted, strict=True)]
    room = width - _FRAME * len(shown) - 1
    if sum(least) > room:
        return None
    while (excess := sum(wanted) - room) > 0:
        widest = max(range(len(wanted)), key=lambda index: (wanted[index] > least[index], wanted[index]))
        wanted[widest] = max(least[widest], wanted[widest] - excess)
    return wanted


def _least(column: Sequence[str]) -> int:
    """The width at which no word is broken, and neither a time nor a sentence is a column of words."""
    return max(_NARROWEST, *(cell_len(word) for cell in column for word in cell.split()), 0)


def _records(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> RenderableType:
    """A block for each row, a line for each value. A long word is not broken: the terminal does, if it must."""
    if len(columns) == 2:  # a name and its value already
        records = [[(row[0], row[1]) for row in rows]]
    else:
        records = [list(zip(columns, row, strict=True)) for row in rows]
    indent = max((cell_len(name) for record in records for name, _ in record), default=0) + 2
    parts: list[RenderableType] = [Text(title, style="bold")]
    for record in records:
        parts.append(Text(""))
        for name, value in record:
            lines = [line for part in value.splitlines() or [""] for line in _wrapped(part, width - indent)]
            parts.append(Text(f"{name:<{indent}}" + f"\n{'':<{indent}}".join(lines), no_wrap=True, overflow="ignore"))
    return Group(*parts)


def _wrapped(line: str, width: int) -> list[str]:
    """Lines of whole words."""
    lines = [""]
    for word in line.split(" "):
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def terminal() -> Console:
    """Where tables go: stdout, as wide as the terminal or COLUMNS says, else 80."""
    return Console(highlight=False)
