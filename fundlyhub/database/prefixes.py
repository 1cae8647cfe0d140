"""Finds ids by their prefixes: lists show short ids, and every command takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from fundlyhub.errors import WrongUse

T = TypeVar("T")
LEAST = 4
"""Characters of a beginning: fewer are a slip rather than an id."""


def uuid_range(beginning: str) -> tuple[UUID, UUID]:
    """The least and the greatest UUID that begin so, for an index. Raises WrongUse for what is no beginning of one.

    >>> uuid_range("019acf30-5a")
    (UUID('019acf30-5a00-0000-0000-000000000000'), UUID('019acf30-5aff-ffff-ffff-ffffffffffff'))
    """
    digits = beginning.replace("-", "").lower()
    if re.fullmatch(rf"[0-9a-f]{{{LEAST},32}}", digits, re.ASCII) is None:
        raise WrongUse(f"an id is a UUID, or at least its first {LEAST} characters")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def the_one(found: Sequence[T], what: str, beginning: str) -> T:
    """What was found, if it is one. Raises WrongUse for none and for several; ask for two rows at least."""
    if not found:
        raise WrongUse(f"there is no {what} that begins with {beginning}")
    if len(found) > 1:
        raise WrongUse(f"{beginning} is the beginning of more than one {what}: write more of it")
    return found[0]
