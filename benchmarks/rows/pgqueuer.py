"""pgqueuer, two workers that fetch a hundred jobs at a time."""

from benchmarks.rows.row import PythonPeer


class PgQueuer(PythonPeer):
    """Jobs in PostgreSQL."""

    key = "pgqueuer"
    title = "pgqueuer"
    module = "benchmarks.peers.with_pgqueuer"
