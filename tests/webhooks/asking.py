"""Requests to the app of the webhooks, signed as the providers sign them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.request_validator import RequestValidator

from fundlyhub.webhooks.sendgrid import SIGNATURE, TIMESTAMP

ME = UUID(int=1)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
TOKEN = "tw1lio-token"
Ask = Callable[..., httpx.Response]


def asking(app: Any) -> Ask:
    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="https://hooks.example") as client:
                return await client.request(method, path, **options)

        return asyncio.run(run())

    return ask


def event(id_: UUID, kind: str = "delivered", **more: Any) -> dict[str, Any]:
    return {"event": kind, "notification": str(id_), "email": "Ada@example.org", "sg_message_id": "m.1", **more}


def signed(events: Any, *, at: float | None = None, body: bytes | None = None) -> dict[str, Any]:
    """A request as SendGrid signs it."""
    body = body if body is not None else json.dumps(events).encode()
    stamp = str(int(time.time() if at is None else at))
    signature = KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return {"content": body, "headers": {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}}


def status(id_: UUID, said: str, *, token: str = TOKEN, fragment: str = "", **more: str) -> tuple[str, dict[str, Any]]:
    """A callback as Twilio signs it."""
    path = f"/twilio/status?notification={id_}"
    form = {"MessageSid": "SM1", "MessageStatus": said, "To": "+1 202 555 0001", **more}
    signature = RequestValidator(token).compute_signature(f"https://hooks.example{path}{fragment}", form)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return path, {"content": urlencode(form), "headers": headers}


NUMBER = "+12025550001"
