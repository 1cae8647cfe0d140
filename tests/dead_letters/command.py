"""`fundlyhub dlq` with the settings of a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.support.command import Done, fundlyhub


class Dlq:
    """`fundlyhub dlq` with the settings of a test."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    def __call__(
        self, *args: object, status: int = 0, input: bytes | None = None, settings: Mapping[str, str] | None = None
    ) -> Done:
        done = fundlyhub("dlq", *map(str, args), settings={**self.variables, **(settings or {})}, input=input)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *args: object, status: int = 0) -> Any:
        """The one document that it prints."""
        return json.loads(self(*args, "--json", status=status).stdout)
