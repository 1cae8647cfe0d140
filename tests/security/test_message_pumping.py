"""Somebody makes the platform write to an address that is not theirs: again and again, in words of their own."""

from __future__ import annotations

import json
from collections import Counter
from email import message_from_bytes, policy
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner

from fundlyhub.cli.main import cli
from fundlyhub.database import get_engine
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processors.notifications import EmailNotificationProcessor, SmsNotificationProcessor
from fundlyhub.processors.shared.address_hashes import mailbox
from fundlyhub.processors.writes.recipients.places import former_place_of, place_of
from fundlyhub.settings import get_settings
from tests.notifications.conftest import post  # noqa: F401 - a fixture
from tests.notifications.occasions import NOW
from tests.notifications.post import JOHN, ME, WELLS, Post, at_once, registered
from tests.support.make import completed

WORDS = "Your parcel waits: call 0900 123456 or see evil.example"
VICTIM = "victim@example.org"


@pytest.fixture(autouse=True)
def ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented ones."""
    for channel in ("EMAIL", "PUSH", "SMS"):
        monkeypatch.delenv(f"FUNDLYHUB_{channel}_CEILING", raising=False)
    get_settings.cache_clear()


def sign_in(ip: str, browser: str = "Firefox", user: UUID = ME) -> UserLoggedIn:
    return UserLoggedIn(user_id=user, ip_address=ip, user_agent=browser, timestamp=NOW)


def mails() -> list[str]:
    found = []
    for path in (get_settings().data_dir / "outbox" / "email").glob("*.eml"):
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        bodies = [mail.get_body((part,)) for part in ("plain", "html")]
        found.append(" ".join([mail["Subject"], mail["To"], *(body.get_content() for body in bodies if body)]))
    return found


def answer(*arguments: str) -> Any:
    """What a command says as JSON."""
    return json.loads(CliRunner().invoke(cli, ["notifications", *arguments, "--json"]).stdout)


def states(post: Post, template: str, channel: str) -> Counter[str]:  # noqa: F811
    return Counter(one.state for one in post.entries(template) if one.channel == channel)


def test_changing_user_agents_are_no_new_places(post: Post) -> None:  # noqa: F811
    post.known(sign_in("198.51.100.7"))
    post.tell(*(sign_in("198.51.100.7", f"{WORDS} {n}") for n in range(40)))
    assert {one.reason for one in post.entries("new_sign_in")} == {"known place"}


def test_what_is_no_network_address_is_one_place(post: Post) -> None:  # noqa: F811
    assert len({place_of(sign_in(f"{WORDS} {n}")) for n in range(40)}) == 1


def test_a_place_that_the_release_before_has_written_down_is_known(post: Post) -> None:  # noqa: F811
    post.known(sign_in("198.51.100.7"))
    post.sql("UPDATE app.sign_ins SET place = %s", former_place_of(sign_in("198.51.100.7")))
    post.tell(sign_in("198.51.100.7"))
    assert {one.reason for one in post.entries("new_sign_in")} == {"known place"}


def test_a_sign_in_brings_no_words_of_its_own(post: Post) -> None:  # noqa: F811
    post.known(sign_in("198.51.100.7"))
    post.tell(sign_in("192.0.2.1", WORDS), sign_in(WORDS, f"Mozilla/5.0 (X11; Linux x86_64) Firefox/139 {WORDS}"))
    assert len(mails()) == 2
    for mail in mails():
        assert "0900" not in mail
        assert "evil" not in mail
    assert any("Firefox, Linux" in mail for mail in mails())


def test_sign_ins_from_many_networks_send_few_texts_to_one_number(post: Post) -> None:  # noqa: F811
    post.known(sign_in("198.51.100.7"))
    for n in range(40):
        post.tell(sign_in(f"192.0.{n}.1"))
    assert states(post, "new_sign_in", "sms") == {"sent": 5, "held": 35}
    assert states(post, "new_sign_in", "email") == {"sent": 5, "held": 35}


def test_one_number_of_many_accounts_gets_few_texts(post: Post) -> None:  # noqa: F811
    users = [UUID(int=100 + n) for n in range(12)]
    post.people(*users)
    for n, user in enumerate(users):
        number = ("+12025550000", "001 202 555 0000")[n % 2]
        post.sql("UPDATE app.contacts SET phone = %s WHERE user_id = %s", number, user)
    post.known(*(sign_in("198.51.100.7", user=user) for user in users))
    post.tell(*(sign_in("192.0.2.1", user=user) for user in users))
    assert states(post, "new_sign_in", "sms") == {"sent": 5, "held": 7}


def test_one_account_with_a_new_number_each_time_sends_few_texts(post: Post) -> None:  # noqa: F811
    post.known(sign_in("198.51.100.7"))
    for n in range(12):
        post.sql("UPDATE app.contacts SET phone = %s WHERE user_id = %s", f"+120255511{n:02}", ME)
        post.tell(sign_in(f"192.0.{n}.1"))
    assert states(post, "new_sign_in", "sms") == {"sent": 5, "held": 7}


def test_many_registrations_mail_few_welcomes_without_the_registrants_words(post: Post) -> None:  # noqa: F811
    spellings = ("victim@example.org", "Victim@Example.org", "victim+1@example.org", "victim+22@EXAMPLE.org")
    people = [registered(uuid4(), email=spellings[n % 4], name=WORDS) for n in range(100)]
    for n in range(0, 100, 10):
        post.tell(*people[n : n + 10])
    assert states(post, "welcome", "email") == {"sent": 3, "held": 97}
    assert len(mails()) == 3
    assert not any("parcel" in mail or "0900" in mail for mail in mails())


def test_no_message_that_a_stranger_can_cause_greets_by_a_name_that_the_stranger_chose(post: Post) -> None:  # noqa: F811
    post.tell(registered(JOHN, email=VICTIM, name=WORDS), sign_in("198.51.100.7", user=JOHN))
    post.tell(
        sign_in("192.0.2.1", user=JOHN),
        completed(WELLS, donor_id=None, donor_email=VICTIM, donor_name=WORDS),
    )
    found = [mail for mail in mails() if VICTIM in mail]
    assert len(found) == 3, "a welcome, a warning and a receipt"
    assert not any("parcel" in mail or "0900" in mail for mail in found)


def test_two_workers_do_not_both_take_the_last_place(post: Post) -> None:  # noqa: F811
    positions = post.known(*(registered(uuid4(), email=VICTIM) for _ in range(12)))
    left = list(positions)

    def run() -> None:
        post.run(EmailNotificationProcessor, [left.pop()])

    at_once(12, run)
    assert states(post, "welcome", "email") == {"sent": 3, "held": 9}


def test_what_runs_again_counts_once_and_stays_held(post: Post) -> None:  # noqa: F811
    first = post.tell(*(registered(uuid4(), email=VICTIM) for _ in range(2)))
    for _ in range(5):
        post.sql("DELETE FROM app.processed_events WHERE processor = 'email_notification'")
        post.run(EmailNotificationProcessor, first)
    post.tell(*(registered(uuid4(), email=VICTIM) for _ in range(2)))
    assert states(post, "welcome", "email") == {"sent": 3, "held": 1}
    post.sql("DELETE FROM app.processed_events WHERE processor = 'email_notification'")
    every = post.column("SELECT position FROM app.notifications WHERE template = 'welcome'")
    post.run(EmailNotificationProcessor, every)
    assert states(post, "welcome", "email") == {"sent": 3, "held": 1}


def test_after_a_day_there_is_room_again(post: Post) -> None:  # noqa: F811
    post.tell(*(registered(uuid4(), email=VICTIM) for _ in range(5)))
    post.sql("UPDATE app.notifications SET created_at = created_at - interval '25 hours'")
    post.tell(*(registered(uuid4(), email=VICTIM) for _ in range(5)))
    assert states(post, "welcome", "email") == {"sent": 6, "held": 4}


def test_a_receipt_above_the_ceiling_is_held_and_an_operator_sends_it(post: Post) -> None:  # noqa: F811
    post.people(JOHN)
    gifts = [completed(WELLS, donor_id=None, donor_email=VICTIM) for _ in range(42)]
    post.tell(*gifts)
    assert states(post, "donation_receipt", "email") == {"sent": 40, "held": 2}
    (reason,) = {one.reason for one in post.entries("donation_receipt") if one.state == "held"}
    assert reason == "over the ceiling: 40 in an hour to one address"
    held = answer("list", "--state", "held")
    assert len(held) == 2
    asked = answer("resend", "--held", "--reason", "a known donor", "--by", "ann", "--yes")
    assert len(asked["resent"]) == 2
    post.run(EmailNotificationProcessor, [one["position"] for one in held])
    assert states(post, "donation_receipt", "email") == {"sent": 42}


def test_several_devices_get_one_message_that_counts_once_for_their_user(post: Post) -> None:  # noqa: F811
    post.sql("INSERT INTO app.devices (user_id, token) SELECT %s, 'd' || n FROM generate_series(1, 9) AS n", ME)
    post.known(sign_in("198.51.100.7"))
    for n in range(6):
        post.tell(sign_in(f"192.0.{n}.1"))
    assert states(post, "new_sign_in", "push") == {"sent": 50, "held": 10}


def test_without_a_ceiling_nothing_is_held(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("FUNDLYHUB_EMAIL_CEILING", "0/hour 0/day")
    get_settings.cache_clear()
    post.tell(*(registered(uuid4(), email=VICTIM) for _ in range(45)))
    assert states(post, "welcome", "email") == {"sent": 45}


def test_the_ledger_holds_no_address(post: Post) -> None:  # noqa: F811
    post.tell(registered(ME, email=VICTIM))
    with get_engine("app").connect() as db:
        (key,) = db.exec_driver_sql("SELECT ceiling_key FROM notifications").scalars()
    assert len(key) == 32
    assert "victim" not in key


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("jane@example.org", "Jane+x@EXAMPLE.org"), ("j.a.n.e@gmail.com", "jane+1@googlemail.com"),
        ("jane@bücher.example", "jane@xn--bcher-kva.example"),
    ],
)  # fmt: skip
def test_spellings_of_one_mailbox_count_together(address: str, other: str) -> None:
    assert mailbox("email", address) == mailbox("email", other)


@pytest.mark.parametrize("address", ["+@example.org", "...@gmail.com", "@", "", "x"])
def test_what_is_hardly_an_address_is_no_fault(address: str) -> None:
    assert mailbox("email", address)


def test_texts_are_counted_by_number(post: Post) -> None:  # noqa: F811
    positions = post.known(sign_in("198.51.100.7"), *(sign_in(f"192.0.{n}.1") for n in range(8)))
    post.run(SmsNotificationProcessor, positions)
    assert states(post, "new_sign_in", "sms") == {"sent": 5, "held": 3, "skipped": 1}


@pytest.mark.parametrize(
    "number", ["+4901701234567", "++491701234567", "+49 (0)170 1234567", "0049 0170 1234567", "+491701234567+"]
)
def test_spellings_of_one_number_count_together(number: str) -> None:
    assert mailbox("sms", number) == mailbox("sms", "+49 170 1234567")
    assert mailbox("sms", number) != mailbox("sms", "+49 170 1234568")
