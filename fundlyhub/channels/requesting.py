"""What an error of requests means: whether the request can have got there. Imported by those whose SDK needs it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from fundlyhub.channels import provider_errors
from fundlyhub.errors import ProcessingError

_BEFORE = (requests.ConnectTimeout, NewConnectionError, ConnectTimeoutError, ssl.SSLCertVerificationError)


def translated(provider: str, error: Exception) -> ProcessingError:
    """Transient when no connection came about, OutcomeUnknown in all other cases."""
    if isinstance(error, ProcessingError):
        return error
    for cause in _causes(error):
        if isinstance(cause, _BEFORE):
            return provider_errors.not_sent(provider, cause)
    return provider_errors.unknown(provider, error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it wraps: requests and urllib3 hold them as an argument, as ``reason`` or as cause."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and not any(one is other for other in seen):
            seen.append(one)
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]
