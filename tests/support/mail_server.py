"""A mail server that remembers what it accepts, and refuses or breaks off at the step that it is told."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from ssl import SSLContext
from typing import Any, Literal, NamedTuple, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Step = Literal["EHLO", "MAIL", "RCPT", "DATA"]


# The server's own log, not the sender's: it would tell every line of every mail.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)


class AcceptedMail(NamedTuple):
    """A mail that the server took."""

    reference: str
    recipient: str
    mail: EmailMessage
    sender: str


@dataclass
class MailServer:
    """At ``url``. ``replies`` by step take the place of its own; ``drop_after_dot`` breaks off when it has the mail."""

    url: str = ""
    replies: dict[Step, str] = field(default_factory=dict)
    drop_after_dot: bool = False
    drop_at: Step | None = None
    slow: float = 0.0
    accepted: list[AcceptedMail] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    concurrent: int = 0
    most_concurrent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    @contextmanager
    def running(
        cls, *, tls: SSLContext | None = None, at_once: bool = False, password: str | None = None
    ) -> Iterator[Self]:
        """A server in a thread of this process; with ``tls`` by STARTTLS, or ``at_once``."""
        fake = cls()
        options: dict[str, Any] = {"ssl_context": tls} if at_once else {"tls_context": tls}
        if password is not None:
            options |= {"authenticator": fake.authenticator(password), "auth_required": not at_once}
            options |= {"auth_require_tls": not at_once}
        controller = _OnFreePort(_Handler(fake), hostname="127.0.0.1", port=_free_port(), **options)
        controller.start()
        fake.url = f"{'smtps' if at_once else 'smtp'}://127.0.0.1:{controller.port}"
        try:
            yield fake
        finally:
            controller.stop()

    def authenticator(self, password: str) -> Any:
        """Lets anybody in who has the password."""

        def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
            given = cast(LoginPassword, data)
            self.logins.append(given.login.decode())
            return AuthResult(success=given.password.decode() == password, handled=False)

        return check

    def copies(self, reference: str) -> int:
        """How often a mail was accepted."""
        with self.lock:
            return sum(one.reference == reference for one in self.accepted)


class _OnFreePort(Controller):
    def _trigger_server(self) -> None:
        # Its own would wait for a greeting, which a server that begins with TLS does not give.
        socket.create_connection((self.hostname, self.port), 5).close()


class _Handler:
    def __init__(self, fake: MailServer) -> None:
        self.fake = fake

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._drops(server, "EHLO") or (reply := self.fake.replies.get("EHLO")) is None:
            return responses
        return [reply]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self._drops(server, "MAIL") and (reply := self.fake.replies.get("MAIL")):
            return reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self._drops(server, "RCPT") and (reply := self.fake.replies.get("RCPT")):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fake = self.fake
        if reply := fake.replies.get("DATA"):
            return reply
        mail = message_from_bytes(cast(bytes, envelope.content), policy=policy.default)
        with fake.lock:
            fake.concurrent += 1
            fake.most_concurrent = max(fake.most_concurrent, fake.concurrent)
            reference = str(mail["Message-ID"]).strip("<>").partition("@")[0]
            fake.accepted.append(AcceptedMail(reference, envelope.rcpt_tos[0], mail, str(envelope.mail_from)))
        await asyncio.sleep(fake.slow)
        with fake.lock:
            fake.concurrent -= 1
        if fake.drop_after_dot:
            self._break_off(server)
        return "250 OK"

    def _drops(self, server: SMTP, step: Step) -> bool:
        if self.fake.drop_at == step:
            self._break_off(server)
            return True
        return False

    def _break_off(self, server: SMTP) -> None:
        cast(asyncio.Transport, server.transport).abort()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
