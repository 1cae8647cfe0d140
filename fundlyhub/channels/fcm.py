"""The door to Firebase Cloud Messaging: one message to one device a request."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from fundlyhub.channels import provider_errors
from fundlyhub.channels.messages import Push
from fundlyhub.errors import WrongUse

_TAG = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Fcm:
    """FCM's v1 API. Raises what ``answers.FCM`` says."""

    provider = "fcm"

    def __init__(
        self, service_account_file: Path, *, base_url: str | None = None, timeout: float = provider_errors.TIMEOUT
    ) -> None:
        try:
            from fundlyhub.channels.fcm_client import Client
        except ImportError:
            raise WrongUse('FCM needs its extra: pip install "fundlyhub[fcm]"') from None
        self.timeout = timeout
        self._client = Client(service_account_file, base_url=base_url, timeout=timeout)

    def send(self, message: Push) -> str | None:
        """Hand a message over; the id is FCM's name of it."""
        from fundlyhub.channels.requesting import translated

        try:
            answer = self._client.notify(
                fcm_token=message.token,
                notification_title=message.title,
                notification_body=message.body,
                data_payload=dict(message.data),
                timeout=self.timeout,
                **_in_its_place(message.reference),
            )
        except Exception as error:
            raise translated(self.provider, error) from None
        name: str = answer["name"]
        return name


def _in_its_place(reference: str) -> dict[str, Any]:
    """What has a second message of this reference take the first one's place, on each kind of device.

    It becomes a header at Apple's, which has room for 64 characters.
    """
    tag = reference if _TAG.fullmatch(reference) else sha256(reference.encode(errors="replace")).hexdigest()
    return {
        "android_config": {"collapse_key": tag, "notification": {"tag": tag}},
        "apns_config": {"headers": {"apns-collapse-id": tag}},
        "webpush_config": {"notification": {"tag": tag}},
    }
