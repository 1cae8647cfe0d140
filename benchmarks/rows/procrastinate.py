"""procrastinate, two workers of ten jobs at a time."""

from benchmarks.rows.row import PythonPeer


class Procrastinate(PythonPeer):
    """Jobs in PostgreSQL."""

    key = "procrastinate"
    title = "procrastinate"
    module = "benchmarks.peers.with_procrastinate"
