"""graphile-worker and pg-boss, two processes of node each."""

from __future__ import annotations

import shutil
from typing import ClassVar

from benchmarks.rows.row import Peer
from benchmarks.stage import Stage
from tests.support import ROOT

FOLDER = ROOT / "benchmarks" / "peers" / "node"


class NodePeer(Peer):
    """A peer on node."""

    script: ClassVar[str]

    def missing(self, stage: Stage) -> str | None:
        """Its packages are installed by `make peers`."""
        if shutil.which("node") is None:
            return "node is not installed"
        return None if (FOLDER / "node_modules").exists() else "its packages are not installed (make peers)"

    def program(self) -> list[str]:
        """Its script."""
        return ["node", str(FOLDER / self.script)]


class GraphileWorker(NodePeer):
    """Jobs in PostgreSQL, ten at a time."""

    key = "graphile-worker"
    title = "graphile-worker"
    script = "graphile_worker.js"


class PgBoss(NodePeer):
    """Jobs in PostgreSQL, fetched five hundred at a time by two loops."""

    key = "pg-boss"
    title = "pg-boss"
    script = "pg_boss.js"
