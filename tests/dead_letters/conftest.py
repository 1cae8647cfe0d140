"""What the tests of dead letters share: the tables of the processors that misbehave."""

from tests.processing.conftest import query

__all__ = ["query"]
