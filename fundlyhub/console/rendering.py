"""Templates: text from outside is escaped, and its control signs are shown; times, spans and numbers in one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fundlyhub.forks import process_cache
from fundlyhub.printable import printable

STATIC = files("fundlyhub.console") / "static"
CONTENT_TYPES: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""The kinds of files in static/ that are served."""


def render(template: str, **values: Any) -> str:
    """A template below templates/ as text."""
    return environment().get_template(template).render(**values)


@process_cache
def environment() -> Environment:
    """The templates, with our filters."""
    made = Environment(
        loader=PackageLoader("fundlyhub.console"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters.update(FILTERS)
    made.globals["static"] = static
    return made


@process_cache
def assets() -> Mapping[str, tuple[bytes, str]]:
    """The files in static/: name to content and digest."""
    found = {file.name: file.read_bytes() for file in STATIC.iterdir() if _suffix(file.name) in CONTENT_TYPES}
    return {name: (content, sha256(content).hexdigest()[:16]) for name, content in found.items()}


def static(name: str) -> str:
    """The address of a file in static/: it changes with the content, so that browsers may keep it."""
    return f"/static/{assets()[name][1]}/{name}"


def content_type(name: str) -> str:
    """The content type of a file in static/."""
    return CONTENT_TYPES[_suffix(name)]


def number(value: float | Decimal | None, decimals: int = 0) -> str:
    """A number with separators; a dash where it is not known.

    >>> number(1234567), number(None), number(0.256, 2)
    ('1,234,567', '–', '0.26')
    """
    return "–" if value is None else f"{value:,.{decimals}f}"


def bounded(value: int | None, most: int) -> str:
    """A count that was not counted beyond a bound.

    >>> bounded(10_000, 10_000), bounded(7, 10_000)
    ('10,000+', '7')
    """
    return f"{most:,}+" if value is not None and value >= most else number(value)


def span(seconds: float | None) -> str:
    """A time span in one or two units.

    >>> span(0.034), span(75), span(90_000)
    ('34 ms', '1 min 15 s', '1 d 1 h')
    """
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = int(seconds)
    for size, name, smaller, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {small}" if rest else "")
    raise AssertionError(seconds)


def when(at: datetime | None) -> Markup:
    """A moment as ``<time>``, in UTC to the second; the browser shows on hover how long ago that was."""
    if at is None:
        return Markup("–")
    exact = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return Markup(f'<time datetime="{exact}">{exact[:10]} {exact[11:19]}</time>')  # noqa: S704  # digits of ours


def ago(at: datetime | None) -> Markup:
    """The same moment as the time that has passed since."""
    if at is None:
        return Markup("–")
    passed = max(0.0, (datetime.now(UTC) - at).total_seconds())
    exact = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup(f'<time datetime="{exact}" title="{exact}">{span(passed)} ago</time>')  # noqa: S704  # the same


def shown(text: object) -> Markup:
    """Text from outside: escaped, with control signs and signs that turn the direction made visible."""
    return escape(printable(str(text)))


def pairs(values: object) -> Markup:
    """Names and values of a row, as `name value, …`; nothing for no row, and a single value as it is."""
    if isinstance(values, Mapping):
        return shown(", ".join(f"{name} {one}" for name, one in values.items()))
    return shown("" if values is None else values)


def is_recent(at: datetime) -> bool:
    """Whether a moment is within the last hour."""
    return (datetime.now(UTC) - at).total_seconds() < 3_600


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "bounded": bounded,
    "span": span,
    "when": when,
    "ago": ago,
    "is_recent": is_recent,
    "pairs": pairs,
    "shown": shown,
}


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]
