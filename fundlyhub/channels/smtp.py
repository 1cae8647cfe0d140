"""E-mail through an SMTP server, over TLS whenever a password is sent."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from fundlyhub.channels import provider_errors, smtp_replies
from fundlyhub.channels.answers import LARGEST
from fundlyhub.channels.messages import Mail
from fundlyhub.channels.mime import sender_of, written
from fundlyhub.channels.smtp_replies import Step
from fundlyhub.errors import OutcomeUnknown, Permanent, ServiceRefuses, Transient, WrongUse

_PORTS = {"smtp": 587, "smtps": 465}


class Smtp:
    """A mail server; each mail uses its own connection. Raises the errors that ``smtp_replies`` gives."""

    provider = "smtp"

    def __init__(self, url: str, sender: str, *, timeout: float = provider_errors.TIMEOUT) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise WrongUse("FUNDLYHUB_SMTP_URL is no URL") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise WrongUse("FUNDLYHUB_SMTP_URL must be smtp://user:password@host:587 or smtps://user:password@host:465")
        self.timeout = timeout
        self._host, self._port, self._tls_at_once = (
            parts.hostname,
            port or _PORTS[parts.scheme],
            parts.scheme == "smtps",
        )
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = sender
        self._context = ssl.create_default_context()

    def send(self, message: Mail) -> str | None:
        """Send a mail. SMTP returns no id; the mail's Message-ID contains the reference."""
        to, mail = written(message, self._sender)
        server: smtplib.SMTP | None = None
        try:
            with _before_the_end():
                server = self._connected()
                self._begin(server, sender_of(self._sender).address, to)
                # A server accepts a mail at the final dot, so an error up to here means that nothing was accepted.
                server.send(re.sub(rb"(?m)^\.", b"..", mail) + b".\r\n")
            self._end(server)
        finally:
            if server is not None:
                _leave(server)
        return None

    def _connected(self) -> smtplib.SMTP:
        if self._tls_at_once:
            server: smtplib.SMTP = _TlsServer(self._host, self._port, timeout=self.timeout, context=self._context)
        else:
            server = _Server(self._host, self._port, timeout=self.timeout)
        try:
            self._introduced(server)
        except BaseException:
            server.close()
            raise
        return server

    def _introduced(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if not self._tls_at_once and server.has_extn("starttls"):
            server.starttls(context=self._context)
            server.ehlo_or_helo_if_needed()
        elif not self._tls_at_once and self._user:
            raise ServiceRefuses(
                "smtp offers no TLS, and no password goes without", seconds=provider_errors.REFUSED_PAUSE
            )
        if self._user:
            self._log_in(server)

    def _log_in(self, server: smtplib.SMTP) -> None:
        try:
            server.login(self._user, self._password)
        except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
            raise
        except smtplib.SMTPException:
            raise ServiceRefuses("smtp offers no login that we know", seconds=provider_errors.REFUSED_PAUSE) from None

    def _begin(self, server: smtplib.SMTP, sender: str, to: str) -> None:
        options: list[str] = []
        if not to.isascii():
            if not server.has_extn("smtputf8"):
                raise Permanent("smtp takes ASCII addresses only")
            server.command_encoding = "utf-8"
            options = ["SMTPUTF8"]
        _expect("MAIL", (250,), lambda: server.mail(sender, options))
        _expect("RCPT", (250, 251, 252), lambda: server.rcpt(to))
        _expect("DATA", (354,), lambda: server.docmd("DATA"))

    def _end(self, server: smtplib.SMTP) -> None:
        try:
            code, text = server.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise provider_errors.unknown(self.provider, error) from None
        if 400 <= code < 600:
            raise smtp_replies.refused("the mail", code, text)
        if code != 250:
            raise OutcomeUnknown("smtp answered what cannot be read")


class _Lines:
    """The lines of a server's replies, of which one reply may not go on without end."""

    def __init__(self, file: Any) -> None:
        self._file, self.left = file, LARGEST
        self.close = file.close

    def readline(self, size: int) -> bytes:
        line: bytes = self._file.readline(size)
        self.left -= len(line)
        if self.left < 0:
            raise OSError("a reply without end")
        return line


class _Server(smtplib.SMTP):
    """smtplib would keep every line of a reply, however many there are."""

    file: Any

    def getreply(self) -> tuple[int, bytes]:
        """The next reply."""
        if self.file is None and self.sock is not None:
            self.file = _Lines(self.sock.makefile("rb"))
        if self.file is not None:
            self.file.left = LARGEST
        return super().getreply()


class _TlsServer(_Server, smtplib.SMTP_SSL):
    """The same over TLS."""


def _expect(step: Step, wanted: tuple[int, ...], command: Callable[[], tuple[int, bytes]]) -> None:
    code, text = command()
    if code not in wanted:
        raise smtp_replies.refused(step, code, text)


@contextmanager
def _before_the_end() -> Iterator[None]:
    """Translate errors before the final dot. smtplib's own errors quote the server's reply."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        kind = Transient if 400 <= error.smtp_code < 500 else ServiceRefuses
        raise provider_errors.refusal("smtp", {}, error.smtp_code, kind=kind) from None
    except smtplib.SMTPResponseException as error:
        raise smtp_replies.refused("the greeting", error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPServerDisconnected as error:
        raise provider_errors.not_sent("smtp", error) from None
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise provider_errors.not_sent("smtp", error) from None


def _leave(server: smtplib.SMTP) -> None:
    """Close the connection; errors no longer matter."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()
