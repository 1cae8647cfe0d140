"""Numbers that a publisher may write and no 64 bits hold: whatever shows or corrects an event copes with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from fundlyhub.database import get_engine
from fundlyhub.events.encoding import dumps
from fundlyhub.processing import dead_letters
from fundlyhub.settings import Settings
from tests.support.command import dsns, fundlyhub

LONG = "123456789012345678901234567890"
LETTER = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
        fingerprint, attempts, first_failed_at, last_failed_at)
    SELECT 'campaign_stats', position, id, type, 'x', 'x', 'x', 'x', 1, now(), now() FROM events.events RETURNING id
"""


def test_a_dead_letter_with_one_can_be_shown_and_edited(dsn: str, settings: Settings, tmp_path: Path) -> None:
    payload = {"campaignId": str(uuid4()), "userId": str(uuid4()), "changes": {"title": "Wells"}}
    text = json.dumps(payload)[:-1] + f', "n": {LONG}, "list": [{{"m": -{LONG}}}]}}'
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("SELECT events.publish_event('campaign.updated', %s)", (text,))
        letter: Any = db.execute(LETTER).fetchone()

    def run(*args: str, **more: str) -> str:
        done = fundlyhub(*args, "--by", "ann", settings={**dsns(dsn), **more})
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    id = str(letter[0])
    assert LONG in run("dlq", "show", id, "--payload", "--json")
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\ngrep -q {LONG} "$1" && sed -i \'s/Wells/Roofs/\' "$1"\n')
    editor.chmod(0o700)
    run("dlq", "edit", id, VISUAL=str(editor))
    with get_engine("events").connect() as opened:
        assert "Roofs" in str(dead_letters.draft(opened, letter[0]).payload)
    patch = tmp_path / "patch"
    patch.write_text('[{"op": "replace", "path": "/changes/title", "value": "Walls"}]')
    run("dlq", "edit", id, "--patch", str(patch))


def test_they_are_written_with_all_digits() -> None:
    value = {"a": int(LONG), "b": [-int(LONG), 2**63, {"c": int(LONG)}], "d": True, "e": 1}
    assert dumps(value, whole=True).decode() == (
        f'{{"a":{LONG},"b":[-{LONG},9223372036854775808,{{"c":{LONG}}}],"d":true,"e":1}}'
    )
