"""A worker that is killed in the middle of a slice of messages in files: what is in doubt is counted and shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from fundlyhub.channels.gateway import FILES
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.settings import get_settings
from tests.console.site import served
from tests.notifications.post import Post, registered
from tests.notifications.test_sending import due_now
from tests.support import ROOT

BEFORE, MAILS = 20, 50
"""Files that are written before the end, and mails that are taken together."""


@pytest.mark.chaos
def test_what_is_in_doubt_is_counted_and_shown_and_nothing_goes_out_twice(post: Post, tmp_path: Path) -> None:
    assert MAILS == FILES, "one slice"
    positions = post.known(*(registered(UUID(int=500 + n)) for n in range(MAILS)))
    command = [sys.executable, "-m", "tests.notifications.send_and_die", f"after call {BEFORE}", *map(str, positions)]
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    written = [*get_settings().data_dir.rglob("*.eml")]
    assert len(written) == BEFORE
    ledger = "SELECT state, count(*) FROM app.notifications WHERE template = 'welcome' GROUP BY state"
    assert post.rows(ledger) == [("sending", MAILS)], "the whole slice is in doubt"

    due_now(post)
    assert post.run(EmailNotificationProcessor, positions).outcomes == {"dead": MAILS}
    assert post.rows(ledger) == [("unknown", MAILS)]
    assert [*get_settings().data_dir.rglob("*.eml")] == written, "nothing went out again"
    with served(tmp_path) as site:
        visitor = site.visitor("viewer")
        assert f"{MAILS} messages by email may or may not have gone out" in visitor.get("/").text
        assert visitor.get("/messages?state=unknown").text.count(">welcome</a>") == MAILS
        assert f'<td class="n">{MAILS}</td>' in visitor.get("/letters?error=OutcomeUnknown").text
