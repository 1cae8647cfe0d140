"""The walk of docs/processors.md in a copy of the checkout: its files, its commands, its dead letter, as they stand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import psycopg
import pytest

from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import SECRET
from tests.docs.blocks import Block, blocks_of
from tests.docs.commands import commands
from tests.support import ROOT
from tests.support.brokers import broker_place
from tests.support.command import dsns
from tests.support.platform import Platform, wait_until

PAGE = ROOT / "docs" / "processors.md"
COPIED = ("fundlyhub", "tests", "celeryconfig.py", "pyproject.toml")
LETTER = "SELECT id FROM events.dead_letters WHERE processor = 'favourites'"


class Reader:
    """Somebody who follows the page."""

    def __init__(self, platform: Platform, checkout: Path) -> None:
        self._platform, self._checkout = platform, checkout
        self._started = False

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.file is not None:
            (self._checkout / block.file).write_text(block.text)
        else:
            {"sh": self._type, "python": self._publish, "sql": self._ask}[block.language](block)

    def _type(self, block: Block) -> None:
        for command in commands(block.text):
            words = [str(self._letter()) if word == "ID" else word for word in command.words]
            self._python("-m", *words, stdin=command.stdin, place=block.place)

    def _publish(self, block: Block) -> None:
        if not self._started:  # `up` was started anew, after the migration
            self._platform.relay()
            self._platform.worker("writes,projections,notifications,broadcasts")
            self._started = True
        self._python("-c", block.padded(), stdin="", place=block.place)
        self._platform.wait_applied("favourites", 3)

    def _ask(self, block: Block) -> None:
        with psycopg.connect(self._platform.dsn, autocommit=True) as db:
            db.execute(block.text.encode())

    def _letter(self) -> int:
        return int(wait_until(lambda: self._platform.value(LETTER), what="the dead letter"))

    def _python(self, *args: str, stdin: str, place: str) -> None:
        done = subprocess.run(
            [sys.executable, *args],
            env=self._platform.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{place}: {args[1:]} ended with {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of what the walk changes, as the working directory."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in COPIED:
        copy: Callable[..., object] = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    with chdir(folder):
        yield folder


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)  # a dozen processes of another checkout, which import everything anew
def test_the_walk_leads_to_a_processor_and_a_dead_letter_that_is_mended(
    dsn: str, valkey: Valkey, checkout: Path, tmp_path: Path
) -> None:
    with broker_place(valkey) as broker:
        variables = {
            **dsns(dsn),
            **SECRET,
            "FUNDLYHUB_BROKER_URL": broker,
            "FUNDLYHUB_REDIS_URL": valkey.url,
            "FUNDLYHUB_DATA_DIR": str(tmp_path),
            "FUNDLYHUB_PROCESSORS": "",
            "PYTHONPATH": str(checkout),
        }
        with Platform(variables, dsn, valkey, tmp_path) as platform:
            reader = Reader(platform, checkout)
            for block in blocks_of(PAGE):
                if block.not_run is None:
                    reader.follow(block)
            assert platform.value("SELECT count(*) FROM analytics.favourites") == 2
            assert platform.value("SELECT state FROM events.dead_letters WHERE processor = 'favourites'") == "resolved"
