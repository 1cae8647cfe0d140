"""A peer that speaks Elasticsearch's protocol, as a private server for the tests."""

from __future__ import annotations

import platform
import shutil
import subprocess
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fundlyhub.embedded.ports import free_port
from tests.support.platform import wait_until

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch


def made_for_this_machine() -> bool:
    """Whether there is a peer for it; where there is, it is installed, and a test that misses it fails."""
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


class Peer:
    """The server, with a folder of its own. Good enough for the client's side; no proof of the real one's."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("noida_db")
        assert spec is not None and spec.origin is not None
        folder.mkdir()
        binary = folder / "noida-db"
        shutil.copy(Path(spec.origin).parent / "noida-db", binary)
        binary.chmod(0o755)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        argv = [str(binary), "start", "--data-dir", str(folder / "data"), "--only", "elasticsearch"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [*argv, "--elasticsearch-port", str(self.port)], stdout=log, stderr=log, cwd=folder, process_group=0
            )
        wait_until(self._answers, timeout=60, what="the Elasticsearch peer")

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the Elasticsearch peer ended"
        try:
            with closing(HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
                connection.request("GET", "/")
                return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False

    def client(self) -> Elasticsearch:
        """The vendor's client of it."""
        from elasticsearch import Elasticsearch  # half a second, which collecting the tests does not need

        return Elasticsearch(self.url)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(30)
