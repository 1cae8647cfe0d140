"""Processors and event types of an installed package, which names its module as an entry point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.command import environment

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
    about = folder / "song_leaderboard-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: song-leaderboard\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[fundlyhub.processors]\nleaderboard = song_leaderboard\n")
    if module is not None:
        (folder / "song_leaderboard.py").write_text(module)
    variables = environment({"PYTHONPATH": f"{folder}:{ROOT}"})
    done = subprocess.run(
        [sys.executable, "-c", LIST], env=variables, capture_output=True, text=True, check=True, timeout=60
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
