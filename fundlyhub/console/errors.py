"""How long a request may wait for databases, and our own errors as refusals that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger

from fundlyhub.database.deadlines import at_most
from fundlyhub.database.faults import NO_ANSWER, sqlstate
from fundlyhub.errors import FundlyHubError, Unavailable, WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.web.refusals import Refusal

log = getLogger(__name__)


LOOKING, ACTING = 5.0, 30.0
"""Seconds that a request may wait for databases, one that only looks and one that changes something."""


@contextmanager
def errors_for_people(method: str) -> Iterator[None]:
    """Bound the waits for databases by the request's method, and turn our own errors and theirs into refusals."""
    try:
        with at_most(LOOKING if method == "GET" else ACTING):
            yield
    except WrongUse as error:
        raise Refusal(400, str(error)) from None
    except Unavailable as error:
        raise Refusal(503, str(error)) from None
    except FundlyHubError as error:
        raise Refusal(409, str(error)) from None
    except NO_ANSWER as error:
        log.warning("a request could not be answered: %s", describe(error))
        raise Refusal(503, f"a database does not answer, or refuses; {_done(error, method)}") from None


def _done(error: Exception, method: str) -> str:
    """Whether something was changed: of a commit whose answer was lost nobody knows."""
    if method == "GET" or sqlstate(error) is not None:
        return "nothing was changed"
    return "look whether it was done before you repeat it"
