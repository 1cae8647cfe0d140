"""What every answer of every provider comes to: one table each, over real connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.channels.messages import Sender
from fundlyhub.embedded.ports import free_port
from fundlyhub.errors import (
    AddressGone,
    Limited,
    OutcomeUnknown,
    Permanent,
    ProcessingError,
    ServiceRefuses,
    Transient,
)
from fundlyhub.testing.providers import Behaviour, Fake, Fcm, SendGrid, Twilio
from tests.channels.senders import (
    DEVICE,
    MESSAGES,
    NUMBER,
    assert_nothing_private,
    fcm_at,
    nothing_private,
    sendgrid_at,
    twilio_at,
)

FAKES: dict[str, type[Fake]] = {"sendgrid": SendGrid, "fcm": Fcm, "twilio": Twilio}
PROVIDERS = list(FAKES)


def sender_at(provider: str, url: str, folder: Path, **options: Any) -> Sender[Any]:
    if provider == "fcm":
        return fcm_at(url, folder, **options)
    return sendgrid_at(url, **options) if provider == "sendgrid" else twilio_at(url, **options)


@dataclass
class At:
    """A fake and a sender at its door."""

    fake: Fake
    sender: Sender[Any]

    def refused(self) -> ProcessingError:
        """The error that the next message comes to, whatever it is."""
        with pytest.raises(ProcessingError) as caught:
            self.sender.send(MESSAGES[self.sender.provider])
        assert_nothing_private(caught.value)
        assert caught.value.__cause__ is None
        return caught.value


@pytest.fixture(params=PROVIDERS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[At]:
    """Each HTTP provider in turn."""
    with FAKES[request.param].running() as fake:
        yield At(fake, sender_at(request.param, fake.url, tmp_path))


ANSWERS: list[tuple[Behaviour, type[ProcessingError]]] = [
    (Behaviour(302), ServiceRefuses),
    (Behaviour(400), Permanent),
    (Behaviour(401), ServiceRefuses),
    (Behaviour(403), ServiceRefuses),
    (Behaviour(404), ServiceRefuses),
    (Behaviour(405), ServiceRefuses),
    (Behaviour(407), ServiceRefuses),
    (Behaviour(408), Transient),
    (Behaviour(413), Permanent),
    (Behaviour(415), Permanent),
    (Behaviour(429), Limited),
    (Behaviour(500), OutcomeUnknown),
    (Behaviour(502), OutcomeUnknown),
    (Behaviour(503), Transient),
    (Behaviour(503, retry_after="7"), Transient),
    (Behaviour(504), OutcomeUnknown),
    (Behaviour(how="garbage"), OutcomeUnknown),
    (Behaviour(200, how="garbage"), OutcomeUnknown),
    (Behaviour(how="hang"), OutcomeUnknown),
    (Behaviour(slow=1.5), OutcomeUnknown),
    (Behaviour(how="close"), OutcomeUnknown),
    (Behaviour(how="reset after reading"), OutcomeUnknown),
    (Behaviour(how="reset before reading"), OutcomeUnknown),
]


@pytest.mark.parametrize(("behaviour", "kind"), ANSWERS, ids=str)
def test_each_answer_has_one_meaning(
    at: At, behaviour: Behaviour, kind: type[ProcessingError], caplog: pytest.LogCaptureFixture
) -> None:
    at.fake.behave(behaviour)
    began = time.monotonic()
    with nothing_private(caplog, at.sender, at.fake.url):
        error = at.refused()
    assert type(error) is kind
    assert at.fake.requests == 1, "no SDK tries again by itself"
    assert time.monotonic() - began < 4, "and none sleeps"


def test_a_good_answer_brings_the_providers_id(at: At, caplog: pytest.LogCaptureFixture) -> None:
    with nothing_private(caplog, at.sender):
        identity = at.sender.send(MESSAGES[at.sender.provider])
    assert identity
    assert (at.fake.requests, at.fake.copies("n-1")) == (1, 1)


def test_too_many_waits_as_long_as_it_says(at: At) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    told: list[tuple[str | None, float, float]] = [
        ("7", 7, 7), (soon, 80, 90), (None, 30, 30), ("0", 1, 1), ("-3", 30, 30), ("999999", 3600, 3600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1, 1), ("soon", 30, 30),
    ]  # fmt: skip
    for retry_after, least, most in told:
        at.fake.behave(Behaviour(429, retry_after=retry_after))
        error = at.refused()
        assert type(error) is Limited
        assert least <= error.seconds <= most, retry_after


def test_a_service_that_refuses_us_is_left_alone_for_a_minute(at: At) -> None:
    at.fake.behave(Behaviour(401))
    error = at.refused()
    assert isinstance(error, ServiceRefuses)
    assert error.seconds == 60
    assert f"{at.sender.provider} answered 401" == str(error)


@pytest.mark.parametrize("provider", PROVIDERS)
class TestNobodyThere:
    def test_a_refused_connection_is_without_effect(self, provider: str, tmp_path: Path) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        with Fcm.running() as tokens:
            options = {"token_url": f"{tokens.url}/token"} if provider == "fcm" else {}
            assert type(At(tokens, sender_at(provider, url, tmp_path, **options)).refused()) is Transient

    def test_so_is_a_name_that_nobody_knows(self, provider: str, tmp_path: Path) -> None:
        with Fcm.running() as tokens:
            options = {"token_url": f"{tokens.url}/token"} if provider == "fcm" else {}
            sender = sender_at(provider, "http://nobody.invalid", tmp_path, **options)
            assert type(At(tokens, sender).refused()) is Transient

    def test_so_is_a_connection_that_does_not_come_about(self, provider: str, tmp_path: Path) -> None:
        with Fcm.running() as tokens, socket.socket() as deaf, socket.socket() as one, socket.socket() as other:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for waiting in (one, other):  # its queue is full now, and whoever else knocks hears nothing
                waiting.setblocking(False)
                waiting.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            options = {"token_url": f"{tokens.url}/token"} if provider == "fcm" else {}
            assert type(At(tokens, sender_at(provider, url, tmp_path, **options)).refused()) is Transient

    def test_so_is_a_certificate_that_is_not_trusted(
        self, provider: str, tmp_path: Path, untrusted: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Fcm.running() as tokens:
            options = {"token_url": f"{tokens.url}/token"} if provider == "fcm" else {}
            assert type(At(tokens, sender_at(provider, untrusted, tmp_path, **options)).refused()) is Transient


TWILIO_CODES: list[tuple[int, int, type[ProcessingError]]] = [
    (400, 21211, AddressGone),
    (400, 21610, AddressGone),
    (403, 21610, AddressGone),
    (400, 21614, AddressGone),
    (400, 21408, Permanent),
    (403, 21408, Permanent),
    (400, 21612, Permanent),
    (400, 21617, Permanent),
    (400, 21212, ServiceRefuses),
    (400, 21603, ServiceRefuses),
    (400, 21606, ServiceRefuses),
    (400, 21659, ServiceRefuses),
    (400, 21660, ServiceRefuses),
    (400, 30002, ServiceRefuses),
    (403, 20003, ServiceRefuses),
    (400, 21611, Limited),
    (400, 30001, Limited),
    (401, 21211, ServiceRefuses),
    (500, 21211, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "code", "kind"), TWILIO_CODES)
def test_twilios_codes_tell_this_number_from_this_sender(
    status: int, code: int, kind: type[ProcessingError], tmp_path: Path
) -> None:
    with Twilio.running() as fake:
        fake.behave(Behaviour(status, code=code))
        error = At(fake, twilio_at(fake.url)).refused()
        assert type(error) is kind
        assert NUMBER not in str(error)
        if isinstance(error, AddressGone):
            assert (str(error), error.unwanted) == (f"twilio answered {status} ({code})", code == 21610)


FCM_CODES: list[tuple[int, str, type[ProcessingError]]] = [
    (404, "UNREGISTERED", AddressGone),
    (404, "", ServiceRefuses),
    (403, "SENDER_ID_MISMATCH", ServiceRefuses),
    (400, "INVALID_ARGUMENT", Permanent),
    (400, "UNREGISTERED", Permanent),
    (401, "THIRD_PARTY_AUTH_ERROR", ServiceRefuses),
    (429, "QUOTA_EXCEEDED", Limited),
    (503, "UNAVAILABLE", Transient),
    (500, "INTERNAL", OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "code", "kind"), FCM_CODES)
def test_fcms_codes_tell_this_device_from_this_sender(
    status: int, code: str, kind: type[ProcessingError], tmp_path: Path
) -> None:
    with Fcm.running() as fake:
        fake.behave(Behaviour(status, code=code))
        error = At(fake, fcm_at(fake.url, tmp_path)).refused()
        assert type(error) is kind
        assert DEVICE not in str(error)


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (Behaviour(400), ServiceRefuses),
        (Behaviour(401), ServiceRefuses),
        (Behaviour(429), Transient),
        (Behaviour(500), Transient),
        (Behaviour(503), Transient),
        (Behaviour(how="hang"), Transient),
        (Behaviour(how="reset after reading"), Transient),
        (Behaviour(how="close"), Transient),
    ],
    ids=str,
)
def test_without_a_token_nothing_is_sent(token: Behaviour, kind: type[ProcessingError], tmp_path: Path) -> None:
    # pyfcm itself says InvalidDataError to each of these, as to a message that is wrong.
    with Fcm.running() as fake:
        fake.token = token
        began = time.monotonic()
        assert type(At(fake, fcm_at(fake.url, tmp_path)).refused()) is kind
        assert time.monotonic() - began < 2, "google-auth would wait and try again"
        assert fake.requests == 0
        fake.token = Behaviour()
        assert fcm_at(fake.url, tmp_path).send(MESSAGES["fcm"])  # type: ignore[arg-type]
