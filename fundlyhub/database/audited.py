"""Who did something and why, as every audit keeps it: one printable line each."""

from __future__ import annotations

from fundlyhub.errors import WrongUse

MAX_REASON = 1_000
"""Characters of a reason."""


def named(who: str) -> str:
    """The name of who does something. Raises WrongUse when there is none."""
    return _line("who does it", who)


def reasoned(reason: str) -> str:
    """The reason of what is done. Raises WrongUse when there is none."""
    return _line("the reason", reason)


def _line(what: str, text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > MAX_REASON or not text.isprintable():
        raise WrongUse(f"{what} must be a text of at most {MAX_REASON} characters")
    return text
