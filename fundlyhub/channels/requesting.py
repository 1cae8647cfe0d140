"""The library requests: sessions that read little of an answer, and its errors as ours. Imported with an SDK only."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from fundlyhub.channels import provider_errors
from fundlyhub.channels.answers import LARGEST
from fundlyhub.errors import ProcessingError

_BEFORE = (requests.ConnectTimeout, NewConnectionError, ConnectTimeoutError, ssl.SSLCertVerificationError)


class ShortAnswers(HTTPAdapter):
    """Reads no more than ``LARGEST`` bytes of an answer, and unpacks nothing: a small one may be a huge one packed.

    The rest is cut off, and its connection closed. It never retries.
    """

    def add_headers(self, request: requests.PreparedRequest, **options: Any) -> None:
        """Ask for what is not packed."""
        request.headers["Accept-Encoding"] = "identity"

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """The answer, with what was read of it."""
        response = super().build_response(req, resp)
        content = resp.read(LARGEST + 1, decode_content=False)
        if len(content) > LARGEST:
            resp.close()
        response._content, response._content_consumed = content[:LARGEST], True
        return response


def session() -> requests.Session:
    """A session of this kind."""
    made = requests.Session()
    for scheme in ("https://", "http://"):
        made.mount(scheme, ShortAnswers())
    return made


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
