"""Anybody on the internet, at the webhooks: they hold no connection, use up nobody's budget, and see nothing."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from fundlyhub.database import get_engine
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.unsubscribe import token_for
from fundlyhub.settings import Settings
from fundlyhub.web.connections import OF_ONE_CALLER, networks
from fundlyhub.webhooks.app import READERS, make_app
from tests.support.platform import Platform, Process, wait_until
from tests.webhooks.asking import ME, PUBLIC, Ask, asking, signed
from tests.webhooks.conftest import ask, configured  # noqa: F401 - fixtures

ON_VALKEY = pytest.mark.parametrize("platform", ["valkey"], indirect=True)


@pytest.fixture
def served(platform: Platform) -> Iterator[tuple[Process, int]]:
    """The real process, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-m", "fundlyhub", "webhooks", "--port", str(port)]
    process = platform.start("webhooks", argv, {"FUNDLYHUB_SENDGRID_WEBHOOK_KEY": PUBLIC})
    wait_until(lambda: health(port) == 200, what="the app")
    yield process, port


def health(port: int) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code
    except httpx.TransportError:
        return None


def is_closed(line: socket.socket) -> bool:
    line.settimeout(0.01)
    try:
        return line.recv(65_536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@ON_VALKEY
@pytest.mark.chaos  # for its length: silence has to last
@pytest.mark.timeout(900)
def test_connections_on_which_no_request_begins_are_closed(served: tuple[Process, int]) -> None:
    _, port = served
    beginnings = [
        b"", b"POST", b"POST /sendgrid/events HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
    ]  # fmt: skip
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in beginnings]
        for line, said in zip(lines, beginnings, strict=True):
            line.sendall(said)
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        slow.sendall(b"GET /health HTTP/1.1\r\n")
        open_lines = {*lines, slow}
        end = time.monotonic() + 60
        while open_lines and time.monotonic() < end:
            if slow in open_lines:
                try:
                    slow.sendall(b"X-A: b\r\n")  # a header again and again, and never an end
                except OSError:
                    open_lines.discard(slow)
            open_lines -= {line for line in open_lines if is_closed(line)}
            time.sleep(0.2)
        assert not open_lines
    assert health(port) == 200


@ON_VALKEY
def test_one_caller_cannot_take_up_all_connections(served: tuple[Process, int]) -> None:
    _, port = served
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(OF_ONE_CALLER + 30)]
        wait_until(lambda: sum(map(is_closed, lines)) >= 30, what="those beyond the limit to be closed")
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=other) as client:
            assert client.get(f"http://127.0.0.1:{port}/health").status_code == 200


@ON_VALKEY
def test_an_upload_that_is_broken_off_leaves_no_traceback(served: tuple[Process, int]) -> None:
    process, port = served
    for path in ("/sendgrid/events", "/unsubscribe/x"):
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".encode())
    assert httpx.post(f"http://127.0.0.1:{port}/sendgrid/events", **signed([]), timeout=10).status_code == 200
    assert process.terminate() == 0
    log = process.log.read_text()
    assert "Traceback" not in log
    assert "ClientDisconnect" not in log


@pytest.mark.parametrize("path", ["/health/", "/sendgrid/events/", "//evil.example/", "/unsubscribe/x/", "/."])
def test_nothing_redirects_to_the_host_of_a_request(ask: Ask, path: str) -> None:  # noqa: F811
    for method in ("GET", "POST"):
        answer = ask(method, path, headers={"Host": "evil.example"})
        assert answer.status_code in (404, 405)
        assert "evil" not in str(answer.headers) + answer.text


@pytest.mark.parametrize("path", ["/health", "/unsubscribe/x", "/sendgrid/events", "/nothing"])
def test_no_answer_may_be_framed_or_guessed_at(ask: Ask, path: str) -> None:  # noqa: F811
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        headers = ask(method, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"


def test_forged_links_use_up_nobodys_unsubscription(ask: Ask, configured: Settings) -> None:  # noqa: F811
    codes = [ask("POST", f"/unsubscribe/{n}").status_code for n in range(2 * READERS + 1)]
    assert 429 in codes
    token = token_for(ME, "updates", configured.secret)
    for _ in range(2 * READERS + 1):  # a mail service asks for all its users, from a few addresses
        answer = ask("POST", f"/unsubscribe/{token}", content=b"List-Unsubscribe=One-Click")
        assert answer.status_code == 200
    assert ask("GET", f"/unsubscribe/{token}").status_code == 200


@pytest.mark.parametrize(("trusted", "statuses"), [("", {404, 429}), ("127.0.0.0/8", {404})])
@ON_VALKEY
def test_only_a_trusted_proxy_says_who_the_caller_is(platform: Platform, trusted: str, statuses: set[int]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-m", "fundlyhub", "webhooks", "--port", str(port)]
    platform.start("webhooks", argv, {"FUNDLYHUB_TRUSTED_PROXIES": trusted})
    wait_until(lambda: health(port) == 200, what="the app")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        found = {
            client.get("/unsubscribe/x", headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code
            for n in range(2 * READERS + 1)
        }
    assert found == statuses


@pytest.mark.parametrize("text", ["10.0.0.0/33", "proxy.example", "10.0.0.1/8", "x,10.0.0.1"])
def test_proxies_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(WrongUse, match="FUNDLYHUB_TRUSTED_PROXIES must be addresses"):
        networks(text)


def test_an_app_without_keys_has_no_doors(settings: Settings) -> None:
    assert asking(make_app(settings, get_engine("app")))("POST", "/sendgrid/events", **signed([])).status_code == 404
