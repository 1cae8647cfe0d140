"""What FCM's SDK would do that a sender must not: the traps of pyfcm."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.channels.messages import Push
from fundlyhub.errors import ServiceRefuses, Snooze, Transient, WrongUse
from fundlyhub.testing.providers import Behaviour, Fcm
from tests.channels.senders import (
    DEVICE,
    fcm_at,
    push,
    service_account,
)


class TestFcm:
    def test_what_it_is_handed(self, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            name = fcm_at(fake.url, tmp_path).send(push())
        assert (name or "").startswith("projects/fundlyhub-test/messages/")
        body = fake.accepted[0].body
        assert (body["token"], body["data"]) == (DEVICE, {"campaign_id": "7"})
        assert body["notification"] == {"title": "Wells", "body": "Dear Ada"}
        assert body["android"] == {"collapse_key": "n-1", "notification": {"tag": "n-1"}}
        assert body["apns"] == {"headers": {"apns-collapse-id": "n-1"}}
        assert body["webpush"] == {"notification": {"tag": "n-1"}}
        assert fake.heard[0][0] == "/v1/projects/fundlyhub-test/messages:send"

    # requests makes a GET of a redirected POST; its 200 is no acceptance, and the device's token is not for others.
    def test_a_redirect_is_not_followed(self, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            fake.behave(Behaviour(302, location=f"{fake.url}/elsewhere"))
            with pytest.raises(ServiceRefuses):
                fcm_at(fake.url, tmp_path).send(push())
        assert fake.requests == 1
        assert fake.accepted == []

    def test_a_long_reference_becomes_a_tag_that_all_take(self, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            sender = fcm_at(fake.url, tmp_path)
            for reference in ("é" * 33, "é" * 33, "é" * 34):
                sender.send(push(reference))
        tags = [one.reference for one in fake.accepted]
        assert [len(tag) for tag in tags] == [64] * 3
        assert tags[0] == tags[1] != tags[2]

    def test_data_is_texts_alone(self, tmp_path: Path) -> None:
        numbers: Any = {"count": 7}
        with Fcm.running() as fake:
            fcm_at(fake.url, tmp_path).send(Push(DEVICE, "Wells", "x", "n-1", numbers))
        assert fake.accepted[0].body["data"] == {"count": "7"}

    def test_no_field_holds_a_control_character(self, tmp_path: Path) -> None:
        wild = "We\x00lls\r\nx\u2028y\x1b"
        with Fcm.running() as fake:
            fcm_at(fake.url, tmp_path).send(Push(DEVICE, wild, wild, "n 1: ü", {"template": wild}))
        body = fake.accepted[0].body
        assert body["notification"] == {"title": "We lls x y", "body": "We lls\nx\ny"}
        assert body["data"] == {"template": "We lls x y"}
        assert re.fullmatch("[0-9a-f]{64}", body["apns"]["headers"]["apns-collapse-id"]), "it becomes a header"

    # pyfcm sleeps as long as it is told, and calls itself; it fails with a ValueError over a date.
    @pytest.mark.parametrize("retry_after", ["3600", "Wed, 21 Oct 2099 07:28:00 GMT"])
    def test_it_does_not_sleep(self, retry_after: str, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            fake.always = Behaviour(429, retry_after=retry_after)
            with pytest.raises(Snooze) as caught:
                fcm_at(fake.url, tmp_path).send(push())
        assert (fake.requests, caught.value.seconds) == (1, 3600)

    # pyfcm calls itself until the stack is full.
    def test_a_token_that_stays_expired_ends(self, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            fake.always = Behaviour(401, code="ACCESS_TOKEN_EXPIRED")
            sender = fcm_at(fake.url, tmp_path)
            with pytest.raises(ServiceRefuses):
                sender.send(push())
            assert (fake.requests, fake.tokens_asked) == (1, 1)
            fake.always = Behaviour()
            sender.send(push())
            assert fake.tokens_asked == 2, "the next one brings a fresh token"

    # pyfcm says "not registered" to every 404: a wrong project would cost all devices.
    @pytest.mark.parametrize("status", [404, 403])
    def test_a_project_that_is_not_ours_is_no_dead_device(self, status: int, tmp_path: Path) -> None:
        with Fcm.running() as fake, pytest.raises(ServiceRefuses):
            fake.behave(Behaviour(status))
            fcm_at(fake.url, tmp_path).send(push())

    # pyfcm asks for one in each thread, and two that read the account's file at once fail with a TypeError.
    def test_all_threads_share_a_token(self, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            sender = fcm_at(fake.url, tmp_path, timeout=5)
            together = threading.Barrier(8)

            def send(number: int) -> None:
                together.wait(10)
                sender.send(push(f"n-{number}"))

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(send, range(8)))
        assert (len(fake.accepted), fake.tokens_asked) == (8, 1)

    def test_threads_do_not_wait_one_after_the_other_for_a_token_that_does_not_come(self, tmp_path: Path) -> None:
        with Fcm.running() as fake:
            fake.token = Behaviour(how="hang")
            sender = fcm_at(fake.url, tmp_path)
            together = threading.Barrier(8)

            def send(number: int) -> type:
                together.wait(10)
                with pytest.raises(Transient) as caught:
                    sender.send(push(f"n-{number}"))
                return caught.type

            with ThreadPoolExecutor(8) as pool:
                assert set(pool.map(send, range(8))) == {Transient}
            assert fake.tokens_asked <= 2

    @pytest.mark.parametrize("content", [None, "", "{}", '{"type": "service_account"}', "[]"])
    def test_a_file_that_is_no_account_is_named_by_its_variable(self, content: str | None, tmp_path: Path) -> None:
        from fundlyhub.channels.fcm import Fcm as Sender

        path = tmp_path / "account.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(WrongUse, match="FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE is no service account"):
            Sender(path)

    def test_nor_does_one_without_a_project(self, tmp_path: Path) -> None:
        from fundlyhub.channels.fcm import Fcm as Sender

        path = service_account(tmp_path, "http://127.0.0.1:1/token")
        account = json.loads(path.read_text())
        del account["project_id"]
        path.write_text(json.dumps(account))
        with pytest.raises(WrongUse, match="names no project"):
            Sender(path)
