"""Messages written to files, for development and tests: nothing leaves the machine."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from fundlyhub.channels import provider_errors
from fundlyhub.channels.messages import ChannelName, Mail, Push, Sms
from fundlyhub.channels.mime import written
from fundlyhub.errors import Transient


class _Folder:
    """Writes each file under a hidden name and renames it, so that no reader sees half a file."""

    channel: ClassVar[ChannelName]
    provider = "file"
    timeout = provider_errors.TIMEOUT

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "outbox" / self.channel
        self._made = False

    def put(self, reference: str, ending: str, content: bytes) -> str:
        """Write a file and return its name. Raises Transient."""
        safe = re.sub(r"[^A-Za-z0-9-]", "_", reference)[:80]
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{safe}.{ending}"
        try:
            if not self._made:
                self._make()
            try:
                self._write(name, content)
            except FileNotFoundError:  # somebody has taken the folder away
                self._make()
                self._write(name, content)
        except OSError as error:
            raise Transient(f"the outbox takes no file: {type(error).__name__}") from None
        return name

    def _make(self) -> None:
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)  # it may exist already, with wider rights
        self._made = True

    def _write(self, name: str, content: bytes) -> None:
        hidden = self.folder / f".{name}.tmp"
        number = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            hidden.replace(self.folder / name)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise


class MailFiles(_Folder):
    """Mails as .eml files, for any mail program."""

    channel = "email"

    def __init__(self, data_dir: Path, sender: str) -> None:
        super().__init__(data_dir)
        self._sender = sender

    def send(self, message: Mail) -> str | None:
        """Write a mail; the id is the file's name."""
        _, mail = written(message, self._sender)
        return self.put(message.reference, "eml", mail)


class PushFiles(_Folder):
    """Push messages as .json files."""

    channel = "push"

    def send(self, message: Push) -> str | None:
        """Write a message; the id is the file's name."""
        fields = {
            "token": message.token,
            "title": message.title,
            "body": message.body,
            "data": dict(message.data),
            "reference": message.reference,
        }
        text = json.dumps(fields, ensure_ascii=False, indent=2)
        return self.put(message.reference, "json", f"{text}\n".encode(errors="backslashreplace"))


class SmsFiles(_Folder):
    """Text messages as .txt files."""

    channel = "sms"

    def send(self, message: Sms) -> str | None:
        """Write a message; the id is the file's name."""
        text = f"To: {message.to}\nReference: {message.reference}\n\n{message.body}\n"
        return self.put(message.reference, "txt", text.encode(errors="backslashreplace"))
