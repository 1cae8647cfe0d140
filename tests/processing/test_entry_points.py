"""Processors and event types of an installed package, which names its module as an entry point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.outside import beside, install

MODULE = """
from fundlyhub import Payload, ProjectionProcessor, publish_event

class SongPlayed(Payload, type="song.played", aggregate=("song", "song")):
    song: str

class LeaderboardProcessor(ProjectionProcessor):
    handles = (SongPlayed,)

    def handle(self, event, db):
        pass
"""
LIST = """
from fundlyhub.cli.wiring import known_processors
from fundlyhub.errors import WrongUse

try:
    found = known_processors()
except WrongUse as error:
    print(error)
else:
    print("leaderboard" in found, "campaign_stats" in found, found["leaderboard"].handles)
"""


def installed(folder: Path, module: str | None) -> str:
    """What a process says in whose site-packages is such a package."""
    files = {} if module is None else {"song_leaderboard.py": module}
    install(folder, "song-leaderboard", files, {"fundlyhub.processors": {"leaderboard": "song_leaderboard"}})
    done = subprocess.run(
        [sys.executable, "-c", LIST], env=beside(folder), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_the_processors_of_an_installed_package_are_loaded(tmp_path: Path) -> None:
    said = installed(tmp_path, MODULE)
    assert said.startswith("True True")
    assert "SongPlayed" in said


@pytest.mark.parametrize("module", [None, "import no_such_library"], ids=["no module", "a missing dependency"])
def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path, module: str | None) -> None:
    said = installed(tmp_path, module)
    assert said.startswith("the entry point leaderboard of song-leaderboard: cannot import song_leaderboard: No module")


TYPES = """
from fundlyhub import upcasts
from fundlyhub.events.payload import Line, Payload

class SongPlayedV1(Payload, type="song.played", aggregate=("song", "song")):
    song: Line

class SongPlayed(Payload, type="song.played", version="2.0.0", aggregate=("song", "song")):
    song: Line
    singer: Line

@upcasts("song.played", "1.0.0", "2.0.0")
def _nobody_where_no_singer(payload):
    return {"singer": "nobody", **payload}
"""
OLD = """
from uuid import UUID

from fundlyhub import Event

REST = {"id": str(UUID(int=1)), "timestamp": 1790000000000, "correlationId": str(UUID(int=2))}
event = Event.model_validate({"type": "song.played", "version": "1.0", "payload": {"song": "Wells"}, **REST})
print(event.type, event.version)
"""
PUBLISH = """
from fundlyhub import Event
from song_kit.events import SongPlayed

print(Event.of(SongPlayed(song="Wells", singer="Ann")).version)
"""


def said(folder: Path, *args: str) -> str:
    """What a process says, on either stream, beside the packages of a folder."""
    done = subprocess.run(
        [sys.executable, *args], env=beside(folder), capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


@pytest.mark.chaos  # for its length
def test_event_types_of_a_package_are_known_to_publishers_readers_and_commands(tmp_path: Path) -> None:
    points = {"fundlyhub.events": {"songs": "song_kit.events"}}
    install(tmp_path, "song-kit", {"song_kit/__init__.py": "", "song_kit/events.py": TYPES}, points)
    assert said(tmp_path, "-c", PUBLISH) == "2.0.0\n"
    assert said(tmp_path, "-c", OLD) == "song.played 1.0.0\n"
    assert '"singer"' in said(tmp_path, "-m", "fundlyhub", "events", "schema", "song.played")


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (
            TYPES.replace("song.played", "donation.completed").partition("@")[0],
            "the type donation.completed is that of fundlyhub; only",
        ),
        (TYPES.replace('version="2.0.0"', 'version="1.0.0"'), "song.played 1.0.0 has the class SongPlayedV1 already"),
        ("import no_such_library", "the entry point songs of song-kit: cannot import song_kit.events: No module"),
        (
            TYPES.replace("2.0.0", "1.0.0"),
            "the entry point songs of song-kit: the upcaster of song.played from 1.0.0 to",
        ),
        ("1 / 0", "song_kit.events fails when it is imported: ZeroDivisionError: division by zero"),
        (TYPES.replace("song: Line", "song: object()"), "the payload class SongPlayedV1 cannot be built"),
    ],
    ids=["a type of ours", "a class twice", "a missing dependency", "a wrong upcaster", "a fault", "no class"],
)
def test_types_that_cannot_be_taken_are_named_with_their_package(tmp_path: Path, types: str, words: str) -> None:
    points = {"fundlyhub.events": {"songs": "song_kit.events"}}
    install(tmp_path, "song-kit", {"song_kit/__init__.py": "", "song_kit/events.py": types}, points)
    assert words in said(tmp_path, "-m", "fundlyhub", "events", "schema", "song.played")
