"""Push messages through Firebase Cloud Messaging: one message to one device per request."""

from __future__ import annotations

import re
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fundlyhub.channels import answers, provider_errors
from fundlyhub.channels.messages import Push
from fundlyhub.channels.per_thread import PerThread
from fundlyhub.errors import ServiceRefuses, Transient, WrongUse
from fundlyhub.forks import in_each_process

if TYPE_CHECKING:  # an extra
    from google.oauth2.service_account import Credentials
    from requests import Response, Session

PROVIDER = "fcm"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_TOKEN = re.compile(r"[!-~]{1,16384}")
_TAG = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Fcm:
    """FCM's v1 API. Raises the errors of the table ``provider_errors.FCM``.

    pyfcm provides the address and the shape of a message. It does not send: it would sleep through every Retry-After,
    repeat a POST up to ten times after 502, 503 and a read timeout, and take every 403 and 404 for a dead device.
    """

    provider = PROVIDER

    def __init__(
        self, service_account_file: Path, *, base_url: str | None = None, timeout: float = provider_errors.TIMEOUT
    ) -> None:
        try:
            from pyfcm import FCMNotification
        except ImportError:
            raise WrongUse('FCM needs its extra: pip install "fundlyhub[fcm]"') from None
        self.timeout = timeout
        self._credentials = _credentials(service_account_file)
        self._sdk = FCMNotification(credentials=self._credentials)
        if base_url:
            self._sdk.FCM_END_POINT_BASE = f"{base_url.rstrip('/')}/v1/projects"
        self._session = PerThread(_session)
        self._no_token_since = -1.0
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._asking = threading.Lock()

    def send(self, message: Push) -> str | None:
        """Send a message and return FCM's name of it."""
        from fundlyhub.channels.requesting import translated

        payload = self._sdk.parse_payload(
            fcm_token=message.token,
            notification_title=message.title,
            notification_body=message.body,
            data_payload=dict(message.data),
            **_in_its_place(message.reference),
        )
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"}
            answer = self._session().post(
                self._sdk.fcm_end_point, payload, headers=headers, timeout=self.timeout, allow_redirects=False
            )
        except Exception as error:
            raise translated(PROVIDER, error) from None
        return self._name(answer)

    def _name(self, answer: Response) -> str:
        """The name that FCM gave the message. Raises the error that status and FCM's own code stand for."""
        if answer.status_code == 401:
            self._credentials.token = None  # the next message asks for a new token
        if answer.status_code != 200:
            status, code, after = answer.status_code, _code(answer), answer.headers.get("Retry-After")
            kind = provider_errors.fcm_kind(status, code)
            raise provider_errors.refusal(
                PROVIDER, provider_errors.FCM, status, retry_after=after, kind=kind, code=code
            )
        said = answers.parsed(answer.content)
        return answers.accepted(PROVIDER, 200, said.get("name") if isinstance(said, dict) else None)

    def _token(self) -> str | None:
        """An access token that is valid, shared by all threads. Raises Transient or ServiceRefuses."""
        asked = time.monotonic()
        with self._asking:
            if not self._credentials.valid:
                if self._no_token_since >= asked:  # another thread has just failed to get one
                    raise Transient("fcm's token cannot be had")
                self._refresh()
            token: str | None = self._credentials.token
            return token

    def _refresh(self) -> None:
        """Get a new token. No message has been sent yet, so a failure is without effect."""
        from google.auth.exceptions import RefreshError, TransportError
        from google.auth.transport.requests import Request

        session = self._session()

        def once(*args: Any, **options: Any) -> Any:
            """One request, without google-auth's timeout of two minutes and its retries."""
            response = Request(session)(*args, **{**options, "timeout": self.timeout})
            if response.status >= 500 or response.status in (408, 429):
                raise TransportError(f"status {response.status}")
            return response

        try:
            self._credentials.refresh(once)
            if not _TOKEN.fullmatch(self._credentials.token or ""):
                self._credentials.token = None
                raise ValueError  # it could not stand in a header
        except RefreshError as error:
            self._no_token_since = time.monotonic()
            if error.retryable:
                raise Transient("fcm's token cannot be had") from None
            raise ServiceRefuses("fcm's token is refused", seconds=provider_errors.REFUSED_PAUSE) from None
        except Exception as error:  # also what an answer without sense makes of the library
            self._no_token_since = time.monotonic()
            raise Transient(f"fcm's token cannot be had: {type(error).__name__}") from None


def _session() -> Session:
    from fundlyhub.channels.requesting import session

    return session()


def _credentials(path: Path) -> Credentials:
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    try:
        credentials: Credentials = Credentials.from_service_account_file(str(path), scopes=[_SCOPE])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, GoogleAuthError):
        raise WrongUse("FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE is no service account that can be read") from None
    if not credentials.project_id:
        raise WrongUse("FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE names no project")
    return credentials


def _code(answer: Response) -> str:
    """FCM's own error code, or an empty text."""
    try:
        details = answers.parsed(answer.content)["error"]["details"]
        return next((one["errorCode"] for one in details if isinstance(one.get("errorCode"), str)), "")
    except (TypeError, KeyError, AttributeError):
        return ""


def _in_its_place(reference: str) -> dict[str, Any]:
    """Options that let a second message of this reference replace the first one, on each kind of device.

    For Apple's devices the reference becomes a header, which holds 64 characters.
    """
    tag = reference if _TAG.fullmatch(reference) else sha256(reference.encode(errors="replace")).hexdigest()
    return {
        "android_config": {"collapse_key": tag, "notification": {"tag": tag}},
        "apns_config": {"headers": {"apns-collapse-id": tag}},
        "webpush_config": {"notification": {"tag": tag}},
    }
