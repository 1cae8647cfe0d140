"""Our own errors as refusals that say what to do; for pages and for the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.errors import FundlyHubError, Unavailable, WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.web.refusals import Refusal

log = getLogger(__name__)


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn our own errors, and those of databases, into refusals."""
    try:
        yield
    except WrongUse as error:
        raise Refusal(400, str(error)) from None
    except Unavailable as error:
        raise Refusal(503, str(error)) from None
    except FundlyHubError as error:
        raise Refusal(409, str(error)) from None
    except (DBAPIError, psycopg.Error) as error:
        log.warning("a request could not be answered: %s", describe(error))
        raise Refusal(503, "a database does not answer, or refuses; nothing was changed") from None
