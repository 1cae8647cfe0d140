"""The error for a refused request: a status and a text that quotes nothing of it."""

from __future__ import annotations


class Refusal(Exception):
    """A refused request."""

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        self.status, self.reason, self.retry_after = status, reason, retry_after
        super().__init__(reason)
