"""Messages as files: whole, readable, one each, and nobody else's to read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from fundlyhub.channels.files import MailFiles, PushFiles, SmsFiles
from fundlyhub.channels.messages import Mail, Push, Sms
from fundlyhub.errors import Permanent, Transient
from tests.channels.senders import ADDRESS, FROM, NUMBER, assert_nothing_private, mail, push, sms


def sent(folder: Path, message: Mail) -> EmailMessage:
    name = MailFiles(folder, FROM).send(message)
    content = (folder / "outbox" / "email" / str(name)).read_bytes()
    return message_from_bytes(content, policy=policy.default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_mail_is_what_a_mail_program_opens(tmp_path: Path) -> None:
    read = sent(tmp_path, mail(subject="Grüße – Ihre Spende", text=f"Dear Zoë\n.\nFrom here\n{'x' * 3000}\n"))
    assert (read["To"], read["From"], read["Subject"]) == (ADDRESS, FROM, "Grüße – Ihre Spende")
    assert read["Message-ID"] == "<n-1@example.org>"
    assert read["List-Unsubscribe"] == "<https://x.example/u?t=1>"
    assert read["Date"].datetime.tzinfo is not None
    assert read.get_content_type() == "multipart/alternative"
    assert body(read, "plain") == f"Dear Zoë\n.\nFrom here\n{'x' * 3000}\n"
    assert body(read, "html").startswith("<p>Dear Zoë")
    assert not read.defects


@pytest.mark.parametrize(
    "subject",
    ["Wells\r\nBcc: eve@example.org", "Wells\nBcc: eve", "Wells\r\n\r\nbody", "We\x00lls\x0b\x0c\x85\u2028Bcc: x"],
)
def test_a_subject_makes_no_header_and_no_body(tmp_path: Path, subject: str) -> None:
    read = sent(tmp_path, mail(subject=subject))
    assert read["Bcc"] is None
    assert body(read, "plain") == "Dear Ada\n"
    assert len(str(read["Subject"]).splitlines()) == 1
    assert set(read.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "MIME-Version", "Content-Type",
    }  # fmt: skip


def test_neither_does_a_header_of_the_mails_own(tmp_path: Path) -> None:
    read = sent(tmp_path, Mail(ADDRESS, "Wells", "x", "x", "n-1", {"X-Note": "one\r\nBcc: eve@example.org"}))
    assert (read["X-Note"], read["Bcc"]) == ("one Bcc: eve@example.org", None)


@pytest.mark.parametrize("name", ["Bcc", "TO", "X\r\nBcc", "", "X Y", "X:"])
def test_a_header_that_is_not_its_own_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Permanent) as caught:
        sent(tmp_path, Mail(ADDRESS, "Wells", "x", "x", "n-1", {name: "eve@example.org"}))
    assert "eve" not in str(caught.value)


@pytest.mark.parametrize("reference", ["../../etc/n", "n\r\nBcc: eve@example.org", "a/b", "é" * 200])
def test_a_reference_leads_nowhere_else(tmp_path: Path, reference: str) -> None:
    read = sent(tmp_path, mail(reference))
    assert read["Bcc"] is None
    assert len([*(tmp_path / "outbox" / "email").iterdir()]) == 1


@pytest.mark.parametrize("to", ["ada", "", "ada@example.org\r\nBcc: x@example.org", "Ada <ada@example.org>"])
def test_what_is_no_address_is_refused(tmp_path: Path, to: str) -> None:
    with pytest.raises(Permanent, match="the address is no e-mail address"):
        sent(tmp_path, mail(to=to))


def test_an_address_beyond_ascii_is_written(tmp_path: Path) -> None:
    assert sent(tmp_path, mail(to="zoë@exämple.org"))["To"] == "zoë@exämple.org"
    assert sent(tmp_path, mail(to="zoe@exämple.org"))["To"] == "zoe@xn--exmple-cua.org"


def test_a_text_that_cannot_be_written_is_refused_without_quoting_it(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as caught:
        sent(tmp_path, mail(text="Dear Ada \ud800"))
    assert_nothing_private(caught.value)


def test_a_push_message_and_a_text_message_can_be_read(tmp_path: Path) -> None:
    name = PushFiles(tmp_path).send(Push("device-1", "Brünnen", "Dear Ada", "n-1", {"campaign_id": "7"}))
    read = json.loads((tmp_path / "outbox" / "push" / str(name)).read_text())
    assert read == {
        "token": "device-1", "title": "Brünnen", "body": "Dear Ada", "data": {"campaign_id": "7"}, "reference": "n-1",
    }  # fmt: skip
    name = SmsFiles(tmp_path).send(Sms(NUMBER, "Dear Zoë\nbye", "n-1"))
    text = (tmp_path / "outbox" / "sms" / str(name)).read_text()
    assert text == f"To: {NUMBER}\nReference: n-1\n\nDear Zoë\nbye\n"


def test_nobody_else_may_look_into_the_folders(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir(mode=0o755)
    (tmp_path / "outbox" / "sms").mkdir(mode=0o755)
    for sender in (MailFiles(tmp_path, FROM), PushFiles(tmp_path), SmsFiles(tmp_path)):
        message = {"email": mail(), "push": push(), "sms": sms()}[sender.folder.name]
        sender.send(message)  # type: ignore[arg-type]
        (file,) = sender.folder.iterdir()
        assert sender.folder.stat().st_mode & 0o777 == 0o700
        assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "outbox").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_may_be_there_later(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(Transient, match="the outbox takes no file: "):
        SmsFiles(tmp_path).send(sms())
    (tmp_path / "outbox").unlink()
    assert SmsFiles(tmp_path).send(sms())


def test_sixteen_threads_write_each_message_once(tmp_path: Path) -> None:
    sender, references = SmsFiles(tmp_path), [f"n-{number}" for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        names = set(pool.map(lambda one: sender.send(sms(one)), references))
    files = {file.name for file in sender.folder.iterdir()}
    assert files == names, "and no temporary file is left"
    assert sorted(name.split("Z-")[1] for name in files) == sorted(f"{one}.txt" for one in references)
