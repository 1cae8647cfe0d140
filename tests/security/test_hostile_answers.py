"""What answers to us with hostile JSON: a provider, or whoever answers in its place."""

from __future__ import annotations

import gzip
import json
import socket
import tracemalloc
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.channels.gateway import Door
from fundlyhub.channels.smtp import Smtp
from fundlyhub.errors import AddressGone, OutcomeUnknown, Permanent, ProcessingError, Transient
from fundlyhub.testing.providers import Behaviour, Fake, Fcm, SendGrid, Twilio
from fundlyhub.testing.providers.http import GOOD
from tests.channels.senders import MESSAGES, fcm_at, mail, sendgrid_at, twilio_at

DEEP = b'{"name": ' * 100_000 + b"1" + b"}" * 100_000
LISTS = b"[" * 100_000 + b"]" * 100_000
HUGE = b'{"name": ' + b"9" * 5_000 + b', "code": ' + b"9" * 5_000 + b', "sid": ' + b"9" * 5_000 + b"}"
NUMBERS = (b"Infinity", b"-Infinity", b"NaN", b"1e999", b"9" * 4_000, b"true", b"null", b"[]", b"{}", b'"\\ud800"')
HOSTILE = [
    DEEP, LISTS, HUGE, b"null", b"[]", b'"x"', b"1", b"", b"\xff\xfe", b"\0",
    *(b'{"name": %s, "code": %s, "sid": %s}' % (one, one, one) for one in NUMBERS),
    *(b'{"error": {"details": %s}}' % one for one in (b"1", b"NaN", b'["errorCode"]', b'[{"errorCode": [1]}]')),
]  # fmt: skip
ids = lambda body: repr(body[:24] + b"~" + body[-24:])  # noqa: E731


def door_of(fake: Fake, folder: Path) -> Door[Any]:
    """The gateway to a provider, without a breaker."""
    sender: Any
    if isinstance(fake, Fcm):
        sender = fcm_at(fake.url, folder, timeout=5.0)
    else:
        sender = sendgrid_at(fake.url, timeout=5.0) if isinstance(fake, SendGrid) else twilio_at(fake.url, timeout=5.0)
    return Door(sender, limit=1, breaker=None)


class Hostile:
    """What a fake says in place of its own words."""

    said: bytes = b""
    headers: Mapping[str, str] = {}  # replaced, never changed

    def success_answer(self) -> tuple[Mapping[str, str], bytes]:
        return self.headers, self.said

    def error_answer(self, status: int, code: str | int | None) -> bytes:
        return self.said


class HostileSendGrid(Hostile, SendGrid):
    """SendGrid's address, with whoever answers there."""


class HostileFcm(Hostile, Fcm):
    """FCM's; ``tokens`` is said where its tokens are asked for."""

    tokens: bytes | None = None

    def other(self, path: str) -> bytes | None:
        found = super().other(path)
        return found if found is None or self.tokens is None else self.tokens


class HostileTwilio(Hostile, Twilio):
    """Twilio's."""


KINDS: list[type[Any]] = [HostileSendGrid, HostileFcm, HostileTwilio]


@pytest.mark.parametrize("kind", KINDS)
def test_a_yes_that_cannot_be_read_is_an_unknown_outcome_and_a_no_says_what_its_status_says(
    kind: type[Any], tmp_path: Path
) -> None:
    wrong = []
    with kind.running() as fake:
        door = door_of(fake, tmp_path)
        for said in HOSTILE:
            fake.said = said
            for status, wanted in ((None, OutcomeUnknown), (400, Permanent)):
                fake.behave(*([GOOD] if status is None else [Behaviour(status)]))
                found = what_comes_of(door)
                if not ((isinstance(found, str) and status is None) or type(found) is wanted):
                    wrong.append((said[:60], status, found))
    assert wrong == []


def what_comes_of(door: Door[Any]) -> str | Exception | None:
    try:
        said = door.send(MESSAGES[door.provider])
    except Exception as error:
        return error
    assert said is None or (len(said) <= 200 and said.isascii() and said.isprintable()), said
    return said


@pytest.mark.parametrize("said", HOSTILE, ids=ids)
def test_a_token_that_cannot_be_read_is_asked_for_again(said: bytes, tmp_path: Path) -> None:
    """Nothing has been sent yet."""
    with HostileFcm.running() as fake:
        fake.tokens = said
        found = what_comes_of(door_of(fake, tmp_path))
        assert isinstance(found, ProcessingError)
        assert type(found) in (Transient,) or "token is refused" in str(found)
        assert fake.requests == 0


def test_an_id_that_no_column_takes_is_cut_to_plain_text(tmp_path: Path) -> None:
    """The message is accepted. An id of 9 KB does not fit into the index, and U+0000 into no column."""
    for kind, bodies in (
        (HostileFcm, [json.dumps({"name": name}) for name in ("a\0b", "x" * 9_000, "\ud800a", "\x1b[31ma")]),
        (HostileTwilio, [json.dumps({"sid": name}) for name in ("a\0b", "x" * 9_000, "\ud800a", "\x1b[31ma")]),
    ):
        with kind.running() as fake:
            door = door_of(fake, tmp_path)
            for body in bodies:
                fake.said = body.encode()
                assert isinstance(what_comes_of(door), str), body[:40]
    with HostileSendGrid.running() as fake:
        door = door_of(fake, tmp_path)
        for id in ("x" * 9_000, "a\x1b[31mb", "a\0b", "\xe4a"):
            fake.headers = {"X-Message-Id": id}
            assert isinstance(what_comes_of(door), str), id[:40]


def test_codes_that_are_read_are_read_still(tmp_path: Path) -> None:
    with HostileTwilio.running() as fake:
        fake.said = b'{"code": 21211, "more": %s}' % (b"9" * 5_000)
        fake.behave(Behaviour(400))
        assert type(what_comes_of(door_of(fake, tmp_path))) is AddressGone


@pytest.mark.parametrize("kind", [HostileFcm, HostileTwilio, HostileSendGrid])
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_of_any_size_costs_a_worker_little(kind: type[Any], packed: bool, tmp_path: Path) -> None:
    whole = b'{"x": "' + b"a" * 30_000_000 + b'"}'
    with kind.running() as fake:
        door = door_of(fake, tmp_path)
        what_comes_of(door)  # what the libraries load
        fake.said = gzip.compress(whole, 1) if packed else whole
        fake.headers = {"Content-Encoding": "gzip"} if packed else {}
        del whole
        fake.behave(GOOD, Behaviour(400))
        with memory_below(4_000_000):
            assert type(what_comes_of(door)) is OutcomeUnknown
            assert type(what_comes_of(door)) is Permanent
        fake.said, fake.headers = b'{"name": "1", "sid": "1"}', {"X-Message-Id": "1"}
        assert what_comes_of(door) == "1", "the next message does not read the rest"


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """What happens here allocates less than this many bytes at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("step", ["greeting", "end"])
def test_a_mail_servers_reply_without_end_is_given_up(step: str) -> None:
    """A line may wait for the next one for ever, and each of them is kept."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as line, suppress(OSError), line.makefile("rb") as said:
                if step == "end":
                    line.sendall(b"220 hello\r\n")
                    for command in said:
                        if command.startswith(b"DATA"):
                            line.sendall(b"354 go on\r\n")
                        elif command == b".\r\n":
                            break
                        elif command[:4] in (b"ehlo", b"mail", b"rcpt"):
                            line.sendall(b"250 yes\r\n")
                while True:
                    line.sendall(b"250-and more\r\n" * 1_000)

        with ThreadPoolExecutor(1) as threads:
            served = threads.submit(serve)
            sender = Smtp(f"smtp://127.0.0.1:{listening.getsockname()[1]}", "no-reply@example.org", timeout=10.0)
            with memory_below(4_000_000), pytest.raises(OutcomeUnknown if step == "end" else Transient):
                sender.send(mail())
            served.result(timeout=10)
