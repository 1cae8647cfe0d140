"""SendGrid's connection: kept from mail to mail, and never trusted further than it can be."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fundlyhub.channels.sendgrid import Client
from fundlyhub.errors import OutcomeUnknown, Transient
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.channels.senders import KEY, mail, sendgrid_at
from tests.support.platform import wait_until

REFUSAL = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


def test_the_mails_of_a_thread_share_a_connection() -> None:
    with SendGrid.running() as fake:
        sender = sendgrid_at(fake.url)
        for number in range(5):
            sender.send(mail(f"n-{number}"))
        assert (len(fake.accepted), fake.connections) == (5, 1)


@pytest.mark.usefixtures("trusted")
def test_so_they_do_over_tls(tls: ssl.SSLContext) -> None:
    with SendGrid.running(tls) as fake:
        sender = sendgrid_at(fake.url)
        for number in range(3):
            sender.send(mail(f"n-{number}"))
        assert (len(fake.accepted), fake.connections) == (3, 1)


def test_a_connection_that_the_server_has_left_is_not_used() -> None:
    with SendGrid.running() as fake:
        fake.behave(Behaviour(how="answer and leave"))
        sender = sendgrid_at(fake.url)
        sender.send(mail("n-1"))
        wait_until(lambda: fake.left == 1, what="the server to leave")
        sender.send(mail("n-2"))
        assert (len(fake.accepted), fake.connections) == (2, 2)


def test_one_that_was_idle_for_too_long_is_not_used() -> None:
    with SendGrid.running() as fake:
        client = Client(KEY, base_url=fake.url, timeout=5, tls=ssl.create_default_context(), kept=0)
        body = b'{"personalizations": [{"custom_args": {"notification": "n-1"}, "to": [{"email": "x"}]}]}'
        assert [client.post(body).status for _ in range(2)] == [202, 202]
        assert fake.connections == 2


@pytest.mark.parametrize("how", ["hang", "close", "reset after reading"])
def test_after_a_call_of_which_nobody_knows_there_is_a_new_one(how: str) -> None:
    with SendGrid.running() as fake:
        fake.behave(Behaviour(), Behaviour(how=how))  # type: ignore[arg-type]
        sender = sendgrid_at(fake.url, timeout=0.3)
        sender.send(mail("n-1"))
        with pytest.raises(OutcomeUnknown):
            sender.send(mail("n-2"))
        assert fake.requests == 2, "it is not tried again"
        sender.send(mail("n-3"))
        assert (fake.requests, fake.connections) == (3, 2)


def test_each_thread_has_its_own() -> None:
    with SendGrid.running() as fake:
        sender = sendgrid_at(fake.url)
        threads = [threading.Thread(target=sender.send, args=(mail(f"n-{n}"),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert (len(fake.accepted), fake.connections) == (4, 4)


def test_its_address_may_have_a_path() -> None:
    with SendGrid.running() as fake:
        sendgrid_at(f"{fake.url}/proxy/").send(mail())
    ((path, headers),) = fake.heard
    assert path == "/proxy/v3/mail/send"
    assert (headers["Authorization"], headers["Content-Type"]) == (f"Bearer {KEY}", "application/json")


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that refuses; its address, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(10_000))
                connection.sendall(REFUSAL)

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", asked
        thread.join(30)


@pytest.mark.parametrize("scheme", ["http://us%40er:pw@", "us%40er:pw@"])
def test_it_goes_through_the_proxy_of_the_environment(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with proxy() as (address, asked):
        monkeypatch.setenv("https_proxy", f"{scheme}{address}")
        with pytest.raises(Transient):
            sendgrid_at("https://api.sendgrid.test").send(mail())
    assert asked[0].startswith(b"CONNECT api.sendgrid.test:443 ")
    assert b64encode(b"us@er:pw") in asked[0]
    assert KEY.encode() not in asked[0]


def test_but_not_to_a_host_that_is_excepted(monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with SendGrid.running(tls) as fake, pytest.raises(Transient, match="SSLCertVerificationError"):
        sendgrid_at(fake.url).send(mail())
