"""The compose file as Docker reads it: anchors merged, variables put in."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support import ROOT

DOCKER = ROOT / "docker"
NOTHING: Mapping[str, str] = {}

_NAME = re.compile(r"\$(?:\$|\{([A-Z_]+))")


def composed(variables: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """The whole file."""
    filled = _filled(_read(), variables)
    assert isinstance(filled, dict)
    return filled


@cache
def _read() -> Any:
    """The file without variables: parsed once, and copied by what fills them in."""
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def ours(file: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run this repository's image."""
    services: dict[str, dict[str, Any]] = file["services"]
    return {name: service for name, service in services.items() if service["image"].startswith("fundlyhub:")}


def secrets_of(service: Mapping[str, Any]) -> dict[str, str]:
    """The secrets of a service: the path in its container, and the file's name in docker/secrets."""
    found: dict[str, str] = {}
    for one in service.get("secrets", []):
        source = one if isinstance(one, str) else one["source"]
        target = source if isinstance(one, str) else one.get("target", source)
        found[target if target.startswith("/") else f"/run/secrets/{target}"] = source
    return found


def made_secrets(folder: Path) -> Path:
    """What docker/make-secrets.sh makes."""
    subprocess.run(["sh", str(DOCKER / "make-secrets.sh"), str(folder)], check=True, timeout=60)
    return folder


def seconds(text: str) -> float:
    """A time like ``45s`` or ``2m``."""
    return float(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, variables) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, variables) for part in value]
    return interpolated(value, variables) if isinstance(value, str) else value


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """``$$``, ``${NAME}`` and ``${NAME:-default}``, one within another too."""
    found = _NAME.search(text)
    if found is None:
        return text
    if found[1] is None:
        return text[: found.start()] + "$" + interpolated(text[found.end() :], variables)
    end = _closing(text, found.end())
    rest, value = text[found.end() : end], variables.get(found[1], "")
    if not value and rest.startswith(":-"):
        value = interpolated(rest[2:], variables)
    return text[: found.start()] + value + interpolated(text[end + 1 :], variables)


def _closing(text: str, start: int) -> int:
    """Where the brace that is open at ``start`` closes."""
    depth = 1
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError("a brace is not closed")
