"""A mail server's answers, step by step: what was taken, what was not, and what nobody knows."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fundlyhub.channels.smtp import Smtp
from fundlyhub.embedded.ports import free_port
from fundlyhub.errors import (
    AddressGone,
    OutcomeUnknown,
    Permanent,
    ProcessingError,
    ServiceRefuses,
    Transient,
    WrongUse,
)
from tests.channels.senders import ADDRESS, FROM, assert_nothing_private, mail, nothing_private
from tests.support.mail_server import MailServer, Step

QUOTING = "ada@example.org is not for Dear Ada"


def smtp_at(url: str, *, timeout: float = 2) -> Smtp:
    return Smtp(url, FROM, timeout=timeout)


def refused(sender: Smtp) -> ProcessingError:
    with pytest.raises(ProcessingError) as caught:
        sender.send(mail())
    assert_nothing_private(caught.value)
    return caught.value


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server that takes everything."""
    with MailServer.running() as server:
        yield server


def test_a_mail_arrives_as_it_was(server: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    sender = smtp_at(server.url)
    with nothing_private(caplog, sender):
        assert sender.send(mail(subject="Grüße\r\nBcc: eve@example.org", text="Dear Ada,\n.\n..\nZoë\n")) is None
    (one,) = server.accepted
    assert (one.reference, one.recipient) == ("n-1", ADDRESS)
    assert one.mail["Subject"] == "Grüße Bcc: eve@example.org"
    assert one.mail["Bcc"] is None
    assert one.mail["List-Unsubscribe"] == "<https://x.example/u?t=1>"
    text = one.mail.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == "Dear Ada,\n.\n..\nZoë\n"


REPLIES: list[tuple[Step, str, type[ProcessingError]]] = [
    # At MAIL only the sender is known yet.
    ("MAIL", "421 closing", Transient),
    ("MAIL", "451 later", Transient),
    ("MAIL", "530 log in", ServiceRefuses),
    ("MAIL", "550 who are you", ServiceRefuses),
    ("MAIL", "550 5.1.1 no such sender", ServiceRefuses),
    ("MAIL", "501 5.1.3 no such sender", ServiceRefuses),
    ("MAIL", "553 5.1.8 no such domain", ServiceRefuses),
    ("MAIL", "550 5.7.1 not allowed to send", ServiceRefuses),
    ("MAIL", "554 5.3.2 not now", ServiceRefuses),
    ("MAIL", "552 too big", Permanent),
    ("MAIL", "552 5.3.4 too big", Permanent),
    ("MAIL", "550 5.6.7 plain addresses only", Permanent),
    ("RCPT", "421 closing", Transient),
    ("RCPT", "450 busy", Transient),
    ("RCPT", "450 4.1.1 not now", Transient),
    ("RCPT", "550 5.1.1 nobody", AddressGone),
    ("RCPT", "550 5.1.2 no such domain", AddressGone),
    ("RCPT", "501 5.1.3 no address", AddressGone),
    ("RCPT", "551 5.1.6 moved", AddressGone),
    ("RCPT", "556 5.1.10 takes no mail", AddressGone),
    ("RCPT", "550-5.1.1 nobody\r\n550 5.1.1 here", AddressGone),
    ("RCPT", "550-5.1.1 nobody\r\n550 5.7.1 or nobody asks", Permanent),
    ("RCPT", "550 5.1.0 something about it", Permanent),
    ("RCPT", "550 5.1.4 two of them", Permanent),
    ("RCPT", "553 5.1.7 no such sender", ServiceRefuses),
    ("RCPT", "550 5.1.8 no such sender", ServiceRefuses),
    ("RCPT", "550 5.2.1 disabled", Permanent),
    ("RCPT", "552 5.2.2 full", Permanent),
    ("RCPT", "550 5.3.0 something", Permanent),
    ("RCPT", "554 5.3.2 not now", ServiceRefuses),
    ("RCPT", "554 5.3.5 set up wrong", ServiceRefuses),
    ("RCPT", "550 5.4.1 no answer", Permanent),
    ("RCPT", "550 5.4.4 no route", Permanent),
    ("RCPT", "554 5.4.6 in a circle", ServiceRefuses),
    ("RCPT", "550 5.7.0 no", ServiceRefuses),
    ("RCPT", "550 5.7.1 not allowed to relay", ServiceRefuses),
    ("RCPT", "554 5.7.1 <x>: relay access denied", ServiceRefuses),
    ("RCPT", "553 5.7.1 no relay", ServiceRefuses),
    ("RCPT", "550 5.7.26 not authenticated", ServiceRefuses),
    ("RCPT", "550 5.7.606 banned", ServiceRefuses),
    ("RCPT", "530 5.5.1 log in", ServiceRefuses),
    ("RCPT", "521 no mail here", ServiceRefuses),
    ("RCPT", "550 nobody", Permanent),
    ("RCPT", "551 moved", Permanent),
    ("RCPT", "552 full", Permanent),
    ("RCPT", "553 no name", Permanent),
    ("RCPT", "554 no", Permanent),
    ("RCPT", "550 4.1.1 which of the two", Permanent),
    ("RCPT", "550 sorry, 5.1.1 nobody", Permanent),
    ("RCPT", "550 5.1.1.7 nobody", Permanent),
    ("RCPT", "550 5.1.1000 nobody", Permanent),
    ("DATA", "421 closing", Transient),
    ("DATA", "451 later", Transient),
    ("DATA", "550 spam", Permanent),
    ("DATA", "554 spam", Permanent),
    ("DATA", "554 5.6.0 what is this", Permanent),
    ("DATA", "550 5.1.1 nobody", AddressGone),
    ("DATA", "550 5.7.60 not your address", ServiceRefuses),
    ("DATA", "999 what", OutcomeUnknown),
]


@pytest.mark.parametrize(("step", "reply", "kind"), REPLIES)
def test_each_reply_has_one_meaning(server: MailServer, step: Step, reply: str, kind: type[ProcessingError]) -> None:
    server.replies[step] = f"{reply} {QUOTING}"
    error = refused(smtp_at(server.url))
    assert type(error) is kind
    assert server.accepted == []
    if kind is AddressGone:
        assert f"smtp answered {reply[:3]} 5.1." in str(error), "what it rests on is kept"


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [("554 5.7.1 blocked", ServiceRefuses), ("554 no mail here", ServiceRefuses), ("550 5.1.1 what", ServiceRefuses),
     ("421 later", Transient)],
)  # fmt: skip
def test_a_server_that_does_not_let_us_in_says_nothing_of_anybody(greeting: str, kind: type[ProcessingError]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            connection, _ = door.accept()
            with connection:
                connection.sendall(f"{greeting}\r\n".encode())
                connection.recv(100)

        answering = pool.submit(answer)
        error = refused(smtp_at(f"smtp://127.0.0.1:{door.getsockname()[1]}"))
        answering.result(10)
    assert type(error) is kind


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT"])
def test_a_connection_that_breaks_before_the_end_is_without_effect(server: MailServer, step: Step) -> None:
    server.drop_at = step
    assert type(refused(smtp_at(server.url))) is Transient
    assert server.accepted == []


def test_one_that_breaks_after_the_end_leaves_it_open(server: MailServer) -> None:
    server.drop_after_dot = True
    assert type(refused(smtp_at(server.url))) is OutcomeUnknown
    assert server.copies("n-1") == 1


def test_and_so_does_an_answer_that_does_not_come(server: MailServer) -> None:
    server.slow = 1
    assert type(refused(smtp_at(server.url, timeout=0.4))) is OutcomeUnknown


def test_nobody_there_is_without_effect() -> None:
    assert type(refused(smtp_at(f"smtp://127.0.0.1:{free_port()}"))) is Transient
    assert type(refused(smtp_at("smtp://nobody.invalid"))) is Transient


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("at_once", [True, False])
class TestPasswords:
    def test_the_right_one_goes_over_tls(self, tls: ssl.SSLContext, at_once: bool) -> None:
        with MailServer.running(tls=tls, at_once=at_once, password="p4ssword/1") as server:
            smtp_at(server.url.replace("://", "://ada%40x:p4ssword%2F1@")).send(mail())
        assert (server.logins, server.copies("n-1")) == (["ada@x"], 1)

    def test_a_wrong_one_is_the_service_refusing_us(self, tls: ssl.SSLContext, at_once: bool) -> None:
        with MailServer.running(tls=tls, at_once=at_once, password="other") as server:
            error = refused(smtp_at(server.url.replace("://", "://ada:p4ssword@")))
        assert type(error) is ServiceRefuses
        assert error.seconds == 60


@pytest.mark.usefixtures("trusted")
def test_a_server_without_a_login_is_one_that_refuses_us(tls: ssl.SSLContext) -> None:
    with MailServer.running(tls=tls, at_once=True) as server:
        server.replies["EHLO"] = "250 HELP"
        assert type(refused(smtp_at(server.url.replace("://", "://ada:p4ssword@")))) is ServiceRefuses


def test_no_password_goes_without_tls(server: MailServer) -> None:
    assert type(refused(smtp_at(server.url.replace("://", "://ada:p4ssword@")))) is ServiceRefuses
    assert server.logins == []


@pytest.mark.usefixtures("usual_authorities")
def test_a_certificate_that_is_not_trusted_is_without_effect(tls: ssl.SSLContext) -> None:
    with MailServer.running(tls=tls) as server:
        assert type(refused(smtp_at(server.url))) is Transient


@pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://x:port", "mail.example:25"])
def test_a_url_that_is_none_is_named_by_its_variable(url: str) -> None:
    with pytest.raises(WrongUse, match="FUNDLYHUB_SMTP_URL"):
        smtp_at(url)


def test_sixteen_threads_send_each_mail_once(server: MailServer) -> None:
    sender, references = smtp_at(server.url, timeout=10), [f"n-{number}" for number in range(48)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda one: sender.send(mail(one)), references))
    assert sorted(one.reference for one in server.accepted) == sorted(references)


def test_an_address_beyond_ascii_goes_where_the_server_takes_it(server: MailServer) -> None:
    smtp_at(server.url).send(mail(to="zoë@exämple.org"))
    assert server.accepted[0].recipient == "zoë@exämple.org"
    server.replies["EHLO"] = "250 HELP"
    with pytest.raises(Permanent, match="smtp takes ASCII addresses only"):
        smtp_at(server.url).send(mail(to="zoë@exämple.org"))


def test_a_name_that_is_an_encoded_word_makes_no_header_on_the_way(server: MailServer) -> None:
    name = "=?utf-8?q?Wells=0D=0AReply-To=3A_eve=40evil.example?="
    smtp_at(server.url).send(mail(subject=f"Your gift to {name}", text=f"Hello {name}"))
    (one,) = server.accepted
    assert one.mail["Reply-To"] is None
    assert one.mail["Subject"] == f"Your gift to {name}"


def test_a_sender_of_an_international_domain_is_named_in_ascii(server: MailServer) -> None:
    Smtp(server.url, "FundlyHub für Alle <hello@exämple.org>", timeout=2).send(mail())
    (one,) = server.accepted
    assert one.sender == "hello@xn--exmple-cua.org"
    assert one.mail["From"] == "FundlyHub für Alle <hello@xn--exmple-cua.org>"
    assert one.mail["Message-ID"] == "<n-1@xn--exmple-cua.org>"
