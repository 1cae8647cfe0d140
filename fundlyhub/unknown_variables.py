"""Variables of our prefix that are no setting: a slip of the pen is named, with the setting that was meant."""

from __future__ import annotations

import os
from collections.abc import Collection
from difflib import get_close_matches

from fundlyhub.secret_files import ENDING
from fundlyhub.settings import PREFIX, Settings


def unknown_variables() -> list[str]:
    """A line for each variable of our prefix that is no setting, with the setting that was meant, perhaps."""
    known = {f"{PREFIX}{name.upper()}{ending}" for name in Settings.model_fields for ending in ("", ENDING)}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    return [f"{_shown(name)} is no setting{_meant(name.upper(), known)}" for name in unknown]


def _meant(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f": did you mean {near[0]}?" if near else "; docs/settings.md lists them"


def _shown(name: str) -> str:
    return name[:100] if name.isprintable() and name.isascii() else f"{PREFIX}…"
