"""The rows of the comparison, one file each for the others' and one for ours."""

from __future__ import annotations

from benchmarks.rows.celery_outbox import CeleryOutbox
from benchmarks.rows.dramatiq import Dramatiq
from benchmarks.rows.limit import Limit
from benchmarks.rows.node import GraphileWorker, PgBoss
from benchmarks.rows.ours import Ours, OursOnRabbitMQ, OursWithAll
from benchmarks.rows.pgqueuer import PgQueuer
from benchmarks.rows.procrastinate import Procrastinate
from benchmarks.rows.row import Row
from benchmarks.rows.whole import CHANNEL_OF, WHOLE, CeleryWhole, Whole

ROWS: dict[str, Row] = {
    row.key: row
    for row in (
        Ours(), OursOnRabbitMQ(), OursWithAll(), CeleryOutbox(), Procrastinate(), PgQueuer(), Dramatiq(),
        GraphileWorker(), PgBoss(), Limit(),
    )
}  # fmt: skip

AVERAGE = CeleryOutbox.key
"""The row that all others are compared with."""

AVERAGE_WHOLE = CeleryWhole.key
"""The same of the whole system."""

TITLES = {
    **{key: row.title for key, row in ROWS.items()},
    "ours-files": "FundlyHub on Valkey, mails to files",
    **{key: row.title for key, row in WHOLE.items()},
}
"""Of all rows, in the order of the tables."""

__all__ = ["AVERAGE", "AVERAGE_WHOLE", "CHANNEL_OF", "ROWS", "TITLES", "WHOLE", "Row", "Whole"]
