"""Messages that another package adds: sent like ours, and what is wrong with one is said before any event is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fundlyhub.errors import WrongUse
from fundlyhub.events import Event
from fundlyhub.events.catalogue import index
from fundlyhub.events.payload import UUID, Line, Payload
from fundlyhub.messages import Content, Lookup, Missing, Notice, Person, Unwanted, add_message
from fundlyhub.processors.notifications import EmailNotificationProcessor, PushNotificationProcessor, catalogue
from fundlyhub.processors.notifications.rendering.render import LOCALES, texts
from fundlyhub.settings import get_settings
from tests.notifications.post import JOHN, ME, Post

ENGLISH = """
[song_played]
subject = "{{ song }} was played"
paragraphs = ["{{ song }} was played just now."]
push = "Listen to it."

[song_played_digest]
subject = "{{ count }} songs were played"
paragraphs = ["{{ count }} songs were played."]
push = "Listen to them."
"""


class SongPlayed(Payload, type="song.played", aggregate=("song", None)):
    """A song was played."""

    user_id: UUID
    song: Line


PLAYED = Notice(
    "song_played", SongPlayed, matter=("song",), recipient="user", channels=("email", "push"), category="songs",
    priority="low", transactional=False, facts=("song",),
)  # fmt: skip


def says(payload: SongPlayed, event: Event, lookup: Lookup) -> Content:
    if payload.song == "Silence":
        raise Unwanted("nothing to hear")
    if payload.song == "Later":
        raise Missing("unknown song")
    return {"song": payload.song}, Person(payload.user_id)


@pytest.fixture
def locales(tmp_path: Path) -> Iterator[str]:
    """A package with texts, in English alone."""
    name = f"locales_{uuid4().hex}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "en.toml").write_text(ENGLISH)
    sys.path.insert(0, str(tmp_path))
    yield name
    sys.path.remove(str(tmp_path))


@pytest.fixture
def added(locales: str) -> Iterator[None]:
    """The message, in the catalogue until the test ends."""
    index.add(SongPlayed)
    add_message(PLAYED, says, texts=locales, samples={"song": "Greensleeves"})
    yield
    catalogue.remove(PLAYED)
    index.remove(SongPlayed)
    for language in LOCALES:
        for template in ("song_played", "song_played_digest"):
            texts(language).pop(template, None)


def test_it_is_sent_by_the_processors_of_its_channels_and_may_be_opted_out_of(post: Post, added: None) -> None:
    assert "song.played" in EmailNotificationProcessor.patterns()
    post.people(JOHN)
    post.sql("UPDATE app.contacts SET locale = 'de' WHERE user_id = %s", ME)
    post.sql("INSERT INTO app.preferences VALUES (%s, 'songs', 'push', false)", ME)
    post.sql("INSERT INTO app.preferences VALUES (%s, 'songs', 'email', false)", JOHN)
    told = [SongPlayed(user_id=ME, song="Wells"), SongPlayed(user_id=ME, song="Wells"),
            SongPlayed(user_id=JOHN, song="Roofs"), SongPlayed(user_id=JOHN, song="Silence")]  # fmt: skip
    positions = post.tell(*told)
    states = sorted((one.channel, one.state, one.reason or "") for one in post.entries("song_played"))
    assert states == [
        ("email", "sent", ""), ("email", "skipped", "nothing to hear"), ("email", "skipped", "opted out"),
        ("push", "sent", ""), ("push", "skipped", "nothing to hear"), ("push", "skipped", "opted out"),
    ]  # fmt: skip
    assert post.claims(EmailNotificationProcessor) == positions
    (mail,) = [path.read_text() for path in (get_settings().data_dir / "outbox").rglob("*.eml")
               if "Wells was played" in path.read_text()]  # fmt: skip
    assert "Hello User 1," in mail, "a reader of a language that it lacks gets all of it in English"
    assert "unsubscribe" in mail.lower()


def test_what_it_needs_is_waited_for(post: Post, added: None) -> None:
    (position,) = post.publish(SongPlayed(user_id=ME, song="Later"))
    assert post.run(PushNotificationProcessor, [position]).outcomes == {"snoozed": 1}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name of ours": ({"template": "welcome"}, "there is a message welcome already|needs|no such table"),
    "no name": ({"template": "Song"}, "its name must be small letters"),
    "no field": ({"matter": ("songs",)}, "matter: SongPlayed has no songs"),
    "no matter": ({"matter": ()}, "name the fields of the payload that tell its messages apart"),
    "no channel": ({"channels": ("fax",)}, "channels must be some of email, push, sms"),
    "no text": ({"channels": ("sms",)}, r"en: \[song_played\]: it needs sms"),
    "a fact that it does not have": ({"facts": ()}, r"\[song_played\]: no such fact: song"),
    "no sample": ({"facts": ("song", "singer")}, "samples: none for singer"),
    "no digest": ({"template": "song_heard"}, r"\[song_heard\]: there is no such table"),
    "our event": ({"payload": catalogue.NOTICES[0].payload, "matter": ("user_id",)}, "no event type of this package"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_one_is_said_when_it_is_added(locales: str, what: str) -> None:
    changed, said = WRONG[what]
    with pytest.raises(WrongUse, match=said):
        add_message(replace(PLAYED, **changed), says, texts=locales, samples={"song": "Greensleeves"})
    assert "song_played" not in catalogue.TEMPLATES


def test_texts_that_cannot_be_read_are_named(locales: str, tmp_path: Path) -> None:
    samples = {"song": "Greensleeves"}
    (tmp_path / locales / "de.toml").write_text(ENGLISH.replace("{{ song }} was played just", "{{ song"))
    with pytest.raises(WrongUse, match=r"de: \[song_played\]: a text is no template of Jinja"):
        add_message(PLAYED, says, texts=locales, samples=samples)
    (tmp_path / locales / "de.toml").write_text("[song_played")
    with pytest.raises(WrongUse, match=rf"{locales}/de.toml: "):
        add_message(PLAYED, says, texts=locales, samples=samples)
    with pytest.raises(WrongUse, match="cannot import nowhere"):
        add_message(PLAYED, says, texts="nowhere.locales", samples=samples)
