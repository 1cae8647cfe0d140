"""Errors of the library requests as ours. Imported only where an SDK has loaded that library."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from fundlyhub.channels import provider_errors
from fundlyhub.errors import ProcessingError

_BEFORE = (requests.ConnectTimeout, NewConnectionError, ConnectTimeoutError, ssl.SSLCertVerificationError)


def translated(provider: str, error: Exception) -> ProcessingError:
    """Transient if no connection was made, else OutcomeUnknown: the request may have arrived."""
    if isinstance(error, ProcessingError):
        return error
    for cause in _causes(error):
        if isinstance(cause, _BEFORE):
            return provider_errors.not_sent(provider, cause)
    return provider_errors.unknown(provider, error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those inside it: requests and urllib3 keep them in ``args``, ``reason`` or ``__cause__``."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and not any(one is other for other in seen):
            seen.append(one)
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]
