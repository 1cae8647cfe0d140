"""pyfcm without its traps: no retries and no sleeping of its own, one token for all threads, errors that say more."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from pyfcm import FCMNotification
from requests.adapters import HTTPAdapter

from fundlyhub.channels import provider_errors
from fundlyhub.errors import ServiceRefuses, Transient, WrongUse
from fundlyhub.forks import in_each_process

PROVIDER = "fcm"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


class Client(FCMNotification):
    """FCM's v1 API. Safe to use from several threads.

    pyfcm itself sleeps through every Retry-After and calls itself without end, repeats a POST ten times on 502 and
    503, also after a read time-out, repeats it without end while its token counts as expired, and takes every 403
    and 404 for a dead device. So the request, the token and the reading of answers are ours.
    """

    def __init__(self, service_account_file: Path, *, base_url: str | None, timeout: float) -> None:
        if base_url:
            self.FCM_END_POINT_BASE = f"{base_url.rstrip('/')}/v1/projects"
        self._timeout = timeout
        self._no_token_since = -1.0
        # Read here: pyfcm reads it at the first send, and two threads that do so at once trip over each other.
        super().__init__(credentials=_credentials(service_account_file))
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._asking = threading.Lock()
        self.custom_adapter = HTTPAdapter(pool_maxsize=32, max_retries=0)
        self.thread_local = threading.local()  # where pyfcm keeps each thread's session

    def send_request(self, payload: bytes | None = None, timeout: float | None = None) -> requests.Response:
        """One request, once."""
        response: requests.Response = self.requests_session.post(
            self.fcm_end_point, data=payload, timeout=timeout or self._timeout, headers=self.request_headers(),
            allow_redirects=False,
        )  # fmt: skip
        return response

    def request_headers(self) -> dict[str, str]:
        """With a token that is still good. Raises Transient or ServiceRefuses."""
        asked = time.monotonic()
        with self._asking:
            if not self.credentials.valid:
                if self._no_token_since >= asked:  # another thread has just tried
                    raise Transient("fcm's token cannot be had")
                self._refresh()
            return {"Content-Type": "application/json", "Authorization": f"Bearer {self.credentials.token}"}

    def parse_response(self, response: requests.Response) -> dict[str, Any]:
        """The answer. Raises what ``answers.FCM`` says, by status and by FCM's own code."""
        if response.status_code == 401:
            self.credentials.token = None  # the next one asks for a fresh one
        if response.status_code != 200:
            status, code, after = response.status_code, _code(response), response.headers.get("Retry-After")
            kind = provider_errors.fcm_kind(status, code)
            raise provider_errors.refusal(
                PROVIDER, provider_errors.FCM, status, retry_after=after, kind=kind, code=code
            )
        try:
            body: dict[str, Any] = {"name": str(response.json()["name"])}
        except (ValueError, TypeError, KeyError):
            raise provider_errors.unreadable(PROVIDER, response.status_code) from None
        return body

    def _refresh(self) -> None:
        """Nothing has been sent to a device yet, so whatever goes wrong here is without effect."""
        try:
            self.credentials.refresh(_Once(self._timeout))
        except RefreshError as error:
            self._no_token_since = time.monotonic()
            if error.retryable:
                raise Transient("fcm's token cannot be had") from None
            raise ServiceRefuses("fcm's token is refused", seconds=provider_errors.REFUSED_PAUSE) from None
        except (GoogleAuthError, requests.RequestException, ValueError, TypeError, OSError) as error:
            self._no_token_since = time.monotonic()
            raise Transient(f"fcm's token cannot be had: {type(error).__name__}") from None


class _Once(Request):
    """google-auth's way to its token, without its time-out of two minutes and its retries."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    def __call__(self, *args: Any, **options: Any) -> Any:
        response = super().__call__(*args, **{**options, "timeout": self._timeout})
        if response.status >= 500 or response.status in (408, 429):
            raise TransportError(f"status {response.status}")
        return response


def _credentials(path: Path) -> Credentials:
    try:
        credentials: Credentials = Credentials.from_service_account_file(str(path), scopes=[_SCOPE])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, GoogleAuthError):
        raise WrongUse("FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE is no service account that can be read") from None
    if not credentials.project_id:
        raise WrongUse("FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE names no project")
    return credentials


def _code(response: requests.Response) -> str:
    """FCM's own code for what went wrong, or nothing."""
    try:
        details = response.json()["error"]["details"]
        return next((str(one["errorCode"]) for one in details if "errorCode" in one), "")
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
