"""What the SDKs would do by themselves, and do not do here; each test fails when its cure is taken away."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.channels.messages import Mail, Sms
from fundlyhub.channels.sendgrid import SendGrid as SendGridSender
from fundlyhub.channels.twilio import Twilio
from fundlyhub.errors import Permanent, ServiceRefuses, WrongUse
from fundlyhub.testing.providers import Behaviour, Fcm, SendGrid
from fundlyhub.testing.providers import Twilio as TwilioFake
from tests.channels.senders import (
    ADDRESS,
    FROM,
    KEY,
    NUMBER,
    SID,
    assert_nothing_private,
    fcm_at,
    mail,
    nothing_private,
    push,
    sendgrid_at,
    sms,
    twilio_at,
)


class TestSendGrid:
    def test_what_it_is_handed(self) -> None:
        with SendGrid.running() as fake:
            sendgrid_at(fake.url).send(mail())
        body = fake.accepted[0].body
        (person,) = body["personalizations"]
        assert person["to"] == [{"email": ADDRESS}]
        assert person["custom_args"] == {"notification": "n-1"}
        assert "custom_args" not in body, "at the top, SendGrid's own description has it as a text"
        assert person["headers"] == {"List-Unsubscribe": "<https://x.example/u?t=1>"}
        assert body["from"] == {"name": "FundlyHub", "email": "no-reply@example.org"}
        assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
        assert body["tracking_settings"] == {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
        }

    # The SDK fails with a KeyError that says nothing, or parses a name out of it and writes to somebody else.
    @pytest.mark.parametrize("to", ["ada", "", "Ada <ada@example.org>", "a@b@example.org", "ada@example.org\r\nBcc: x"])
    def test_what_is_no_address_is_refused_before_it_is_sent(self, to: str) -> None:
        with SendGrid.running() as fake, pytest.raises(Permanent, match="the address is no e-mail address"):
            sendgrid_at(fake.url).send(mail(to=to))
        assert fake.requests == 0

    # With `request_headers=` the first mail's headers would go out with each one after it.
    def test_one_mails_headers_do_not_go_out_with_the_next(self) -> None:
        with SendGrid.running() as fake:
            sender = sendgrid_at(fake.url)
            sender.send(mail("n-1"))
            plain = mail("n-2")
            object.__setattr__(plain, "headers", {})
            sender.send(plain)
        assert "headers" not in fake.accepted[1].body["personalizations"][0]
        assert all("List-Unsubscribe" not in headers for _, headers in fake.heard)

    # The SDK makes a GET of a redirected POST; its 200 would be no acceptance.
    def test_a_redirect_is_not_followed(self) -> None:
        with SendGrid.running() as fake:
            fake.behave(Behaviour(302, location=f"{fake.url}/elsewhere"))
            with pytest.raises(ServiceRefuses):
                sendgrid_at(fake.url).send(mail())
        assert fake.requests == 1
        assert fake.accepted == []

    def test_a_line_break_in_a_subject_is_a_space(self) -> None:
        with SendGrid.running() as fake:
            sendgrid_at(fake.url).send(mail(subject="Wells\r\nBcc: x@example.org"))
        assert fake.accepted[0].body["subject"] == "Wells Bcc: x@example.org"

    # SendGrid writes the header itself, of a name that may look like an encoded word.
    def test_no_field_holds_an_encoded_word_that_is_not_ours(self) -> None:
        name = "=?utf-8?q?Wells=0D=0AReply-To=3A_eve=40evil.example?="
        with SendGrid.running() as fake:
            note = {"X-Note": f"Grüße {name}", "List-Unsubscribe": f"<https://x.example/{'a' * 300}>"}
            sendgrid_at(fake.url).send(Mail(ADDRESS, f"Your gift to {name}", name, name, name, note))
        body = fake.accepted[0].body
        (person,) = body["personalizations"]
        assert body["subject"] == "Your gift to = ?utf-8?q?Wells=0D=0AReply-To=3A_eve=40evil.example?="
        assert "=?" not in person["custom_args"]["notification"]
        assert str(make_header(decode_header(person["headers"]["X-Note"]))) == f"Grüße {name}"
        assert person["headers"]["X-Note"].isascii()
        assert person["headers"]["List-Unsubscribe"] == f"<https://x.example/{'a' * 300}>"

    def test_a_sender_of_an_international_domain_is_named_in_ascii(self) -> None:
        with SendGrid.running() as fake:
            SendGridSender(KEY, "Für Alle <hello@exämple.org>", base_url=fake.url).send(mail())
        assert fake.accepted[0].body["from"] == {"name": "Für Alle", "email": "hello@xn--exmple-cua.org"}


class TestTwilio:
    def test_what_it_is_handed(self) -> None:
        with TwilioFake.running() as fake:
            sid = twilio_at(fake.url).send(sms())
        assert (sid or "").startswith("SM")
        body = fake.accepted[0].body
        assert (body["From"], body["Body"]) == ("+15550000000", "Dear Ada")
        assert body["StatusCallback"] == "https://hooks.example/twilio/status?notification=n-1#rc=5&rp=all"
        assert fake.heard[0][0] == f"/2010-04-01/Accounts/{SID}/Messages.json"

    def test_a_reference_is_written_so_that_it_comes_back(self) -> None:
        with TwilioFake.running() as fake:
            twilio_at(fake.url).send(sms("a&b=c/d é"))
        assert fake.accepted[0].reference == "a&b=c/d é"

    def test_a_text_holds_no_control_character(self) -> None:
        with TwilioFake.running() as fake:
            twilio_at(fake.url).send(Sms(NUMBER, "We\x00lls\r\nx\u2028y\x1b[1m", "n-1"))
        assert fake.accepted[0].body["Body"] == "We lls\nx\ny [1m"

    def test_its_address_may_have_a_path(self) -> None:
        with TwilioFake.running() as fake:
            twilio_at(f"{fake.url}/proxy/").send(sms())
        assert fake.heard[0][0] == f"/proxy/2010-04-01/Accounts/{SID}/Messages.json"

    @pytest.mark.parametrize("sid", ["", "AC1", f"SK{'0' * 32}", f"AC{'0' * 31}/", f"AC{'0' * 32}\n"])
    def test_an_account_that_is_none_is_refused_at_once(self, sid: str) -> None:
        with pytest.raises(WrongUse, match="FUNDLYHUB_TWILIO_ACCOUNT_SID"):
            Twilio(sid, "token", "+15550000000", "https://hooks.example")

    @pytest.mark.parametrize(("token", "sender", "named"), [("", "+1", "AUTH_TOKEN"), ("t", "", "FROM")])
    def test_what_is_missing_is_named(self, token: str, sender: str, named: str) -> None:
        with pytest.raises(WrongUse, match=f"FUNDLYHUB_TWILIO_{named} is not set"):
            Twilio(SID, token, sender, "https://hooks.example")


@pytest.mark.parametrize(
    ("module", "said", "make"),
    [
        ("sendgrid", "SendGrid needs its extra: pip install \"fundlyhub[sendgrid]\"", lambda _: sendgrid_at("http://x")),
        ("pyfcm", "FCM needs its extra: pip install \"fundlyhub[fcm]\"", lambda folder: fcm_at("http://x", folder)),
        ("twilio", "Twilio needs its extra: pip install \"fundlyhub[twilio]\"", lambda _: twilio_at("http://x")),
    ],
)  # fmt: skip
def test_without_its_sdk_a_sender_says_what_to_install(
    module: str, said: str, make: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WrongUse) as caught:
        make(tmp_path)
    assert str(caught.value) == said


def test_sixteen_threads_send_each_message_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SendGrid.running() as mails, Fcm.running() as pushes, TwilioFake.running() as texts:
        senders: list[tuple[Any, Any, Any]] = [
            (sendgrid_at(mails.url, timeout=10), mail, mails),
            (fcm_at(pushes.url, tmp_path, timeout=10), push, pushes),
            (twilio_at(texts.url, timeout=10), sms, texts),
        ]
        for sender, make, fake in senders:
            fake.always = Behaviour(slow=0.05)
            references = [f"n-{number}" for number in range(64)]
            with nothing_private(caplog, sender), ThreadPoolExecutor(16) as pool:
                identities = list(pool.map(lambda one, s=sender, m=make: s.send(m(one)), references))
            assert len(set(identities)) == 64
            assert sorted(one.reference for one in fake.accepted) == sorted(references)
            assert fake.requests == 64
            assert fake.most_concurrent > 1


def test_the_fakes_would_tell_what_is_private(caplog: pytest.LogCaptureFixture) -> None:
    """They quote as providers do: that nothing is found in our errors is no accident of theirs."""
    with pytest.raises(AssertionError):
        assert_nothing_private(SendGrid().error_answer(400, None))
    with pytest.raises(AssertionError):
        assert_nothing_private(FROM.replace("no-reply", "ada"))
