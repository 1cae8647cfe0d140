"""Verifications that this console begins: each is a process of its own, that of the command `fundlyhub verify`.

So pages stay quick while it computes, and its end is the command's: at SIGTERM it drops its schema. It ends with the
console too: told to by one that is stopped, and at its next line of progress where the console was killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger
from tempfile import TemporaryFile
from threading import Lock, Thread
from typing import IO, Any

from fundlyhub.console.runs import Run
from fundlyhub.errors import WrongState
from fundlyhub.observability.redaction import describe

log = getLogger(__name__)

STOP_LIMIT = 8.0
"""Seconds that a console which is stopped waits for the end of a verification."""
LONGEST_LINE = 2_000


@dataclass(slots=True)
class Verification(Run):
    """One verification: its options, how far it is, and its report or why there is none."""

    options: tuple[str, ...] = ()
    report: dict[str, Any] | None = None
    is_stopped: bool = False

    @property
    def command(self) -> str:
        """The command line that does the same."""
        return " ".join(("fundlyhub verify", *self.options))


class Verifications:
    """The newest verification of this console. One runs at a time, and its report stays until the next."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._newest: Verification | None = None
        self._process: subprocess.Popen[str] | None = None
        self._thread: Thread | None = None
        self._closed = False

    @property
    def newest(self) -> Verification | None:
        """The one that runs, or the last one; None before the first."""
        return self._newest

    def start(self, options: Sequence[str], *, who: str) -> Verification:
        """Begin one with these options of the command. Raises WrongState while one runs, or the console ends."""
        with self._lock:
            if self._newest is not None and not self._newest.is_over:
                raise WrongState(f"a verification of {self._newest.who} is under way: wait for its end, or stop it")
            if self._closed:
                raise WrongState("this console is about to end")
            output = TemporaryFile("w+")  # noqa: SIM115  # the thread closes it
            argv = [sys.executable, "-m", "fundlyhub", "verify", *options, "--json", "--progress", "lines"]
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True, errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # a Ctrl-C reaches it through this console alone, and once
            )  # fmt: skip
            one = self._newest = Verification("verification", "verify", who, options=tuple(options))
            self._thread = Thread(target=_follow, args=(one, self._process, output), name="verification", daemon=True)
            self._thread.start()
        return one

    def stop(self, *, close: bool = False) -> None:
        """End the one that runs: it drops its schema. With ``close`` no other begins, and its end is awaited."""
        with self._lock:
            self._closed = self._closed or close
            one, process, thread = self._newest, self._process, self._thread
            if one is None or process is None or one.is_over:
                return
            if not one.is_stopped:  # a second signal would interrupt what the first one made it do
                one.is_stopped = True
                with suppress(ProcessLookupError):
                    process.terminate()
        if close and thread is not None:
            thread.join(STOP_LIMIT)


def _follow(one: Verification, process: subprocess.Popen[str], output: IO[str]) -> None:
    """Read its progress, and then its report."""
    said = ""
    try:
        with output, process:
            for line in process.stderr or ():
                if not _is_progress(one, line):
                    said = line.strip()[:LONGEST_LINE] or said
            status = process.wait()
            output.seek(0)
            text = output.read()
        if status in (0, 1) and text.strip():
            one.report = json.loads(text)
        else:
            one.failed = "it was stopped" if one.is_stopped else said.removeprefix("fundlyhub: ") or f"status {status}"
    except Exception as error:
        log.warning("a verification could not be followed: %s", describe(error))
        one.failed = describe(error)
    finally:
        one.ended = datetime.now(UTC)


def _is_progress(one: Verification, line: str) -> bool:
    try:
        step = json.loads(line)
        one.tell(str(step["what"]), int(step["done"]), int(step["total"]))
    except (ValueError, TypeError, KeyError):
        return False
    return True
