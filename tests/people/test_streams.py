"""Entries of mirrored streams about a person go, and others stay; a server that is away is told of."""

from __future__ import annotations

import pytest

from fundlyhub import publish_event
from fundlyhub.errors import Unavailable
from fundlyhub.people.outside import streams
from fundlyhub.settings import Settings
from tests.people.erased import GUEST, erased, guest_gift
from tests.verification.world import BEN, found


def test_entries_about_the_person_go_and_others_stay(at_rest: Settings) -> None:
    gift = publish_event(guest_gift())
    with streams(at_rest) as client:
        client.delete("events:donation.completed", "events:user.profile_updated")
        client.xadd("events:donation.completed", {"id": str(gift.id), "payload": "{}"})
        client.xadd("events:donation.completed", {"id": "other", "payload": "{}"})
        client.xadd("events:user.profile_updated", {"id": "x", "payload": f'{{"userId": "{BEN}", "name": "Ben B."}}'})
        erased(address=GUEST)
        erased(BEN)
        assert [fields[b"id"] for _, fields in client.xrange("events:donation.completed") or () if fields] == [b"other"]
        assert client.xlen("events:user.profile_updated") == 0
        client.delete("events:donation.completed", "events:user.profile_updated")


@pytest.mark.chaos  # for its length
def test_an_erasure_whose_streams_cannot_be_reached_is_not_finished(
    at_rest: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNDLYHUB_STREAMS_URL", "redis://127.0.0.1:1/0")
    from fundlyhub.settings import get_settings

    get_settings.cache_clear()
    with pytest.raises(Unavailable):
        erased(BEN)
    monkeypatch.undo()
    get_settings.cache_clear()
    assert any(finding.kind == "stuck" and finding.processor == "people" for finding in found())
    erased(BEN)
    assert found() == []
