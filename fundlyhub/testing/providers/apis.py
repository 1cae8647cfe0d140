"""The three providers' own forms: how each reads a message, says yes, and says no."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from fundlyhub.testing.providers.fcm_account import service_account
from fundlyhub.testing.providers.http import GOOD, Accepted, Behaviour, Fake


class SendGrid(Fake):
    """POST /v3/mail/send."""

    success = 202

    def variables(self, folder: Path) -> dict[str, str]:
        """The settings that lead a process here."""
        return {
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
            "FUNDLYHUB_SENDGRID_BASE_URL": self.url,
        }

    def read(self, body: bytes) -> Accepted:
        mail = json.loads(body)
        person = mail["personalizations"][0]
        return Accepted(person["custom_args"]["notification"], person["to"][0]["email"], mail)

    def success_answer(self) -> tuple[Mapping[str, str], bytes]:
        return {"X-Message-Id": uuid4().hex[:22]}, b""

    def error_answer(self, status: int, code: str | int | None) -> bytes:
        return json.dumps({"errors": [{"message": "ada@example.org is refused", "field": None}]}).encode()


@dataclass
class Fcm(Fake):
    """POST /v1/projects/<id>/messages:send, and /token for access tokens, with a behaviour of its own."""

    token: Behaviour = GOOD
    tokens_asked: int = 0

    def variables(self, folder: Path) -> dict[str, str]:
        """The settings that lead a process here; the account's file is made in ``folder``."""
        return {
            "FUNDLYHUB_PUSH_BACKEND": "fcm",
            "FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE": str(service_account(folder, f"{self.url}/token")),
            "FUNDLYHUB_FCM_BASE_URL": self.url,
        }

    def take(self, path: str) -> Behaviour:
        return self.token if path == "/token" else super().take(path)

    def other(self, path: str) -> bytes | None:
        if path != "/token":
            return None
        with self.lock:
            self.tokens_asked += 1
            number = self.tokens_asked
        return json.dumps({"access_token": f"access-{number}", "expires_in": 3600, "token_type": "Bearer"}).encode()

    def read(self, body: bytes) -> Accepted:
        message = json.loads(body)["message"]
        return Accepted(message["android"]["collapse_key"], message["token"], message)

    def success_answer(self) -> tuple[Mapping[str, str], bytes]:
        return {}, json.dumps({"name": f"projects/fundlyhub-test/messages/{uuid4().hex}"}).encode()

    def error_answer(self, status: int, code: str | int | None) -> bytes:
        kind = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
        expired = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code}
        details = [expired if code == "ACCESS_TOKEN_EXPIRED" else kind] if code else []
        return json.dumps({"error": {"code": status, "message": "device-token-1 is bad", "details": details}}).encode()


class Twilio(Fake):
    """POST /2010-04-01/Accounts/<sid>/Messages.json."""

    success = 201

    def variables(self, folder: Path) -> dict[str, str]:
        """The settings that lead a process here."""
        return {
            "FUNDLYHUB_SMS_BACKEND": "twilio",
            "FUNDLYHUB_TWILIO_ACCOUNT_SID": f"AC{'0a' * 16}",
            "FUNDLYHUB_TWILIO_AUTH_TOKEN": "token",
            "FUNDLYHUB_TWILIO_FROM": "+15550000000",
            "FUNDLYHUB_TWILIO_BASE_URL": self.url,
        }

    def read(self, body: bytes) -> Accepted:
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        reference = parse_qs(urlsplit(form["StatusCallback"]).query)["notification"][0]
        return Accepted(reference, form["To"], form)

    def success_answer(self) -> tuple[Mapping[str, str], bytes]:
        return {}, json.dumps({"sid": f"SM{uuid4().hex}", "status": "queued"}).encode()

    def error_answer(self, status: int, code: str | int | None) -> bytes:
        return json.dumps({"code": code or 20001, "message": "+491701234567 is bad", "status": status}).encode()
