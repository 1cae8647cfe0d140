"""What every process of the platform imports: loaded once, in the process that the tests' processes are forked from.

Nothing here may read a setting: each process has settings of its own.
"""

from __future__ import annotations

import os
from importlib import import_module

os.environ["REMAP_SIGTERM"] = "SIGQUIT"  # as fundlyhub.celery does it, before billiard is imported

for module in (
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "fundlyhub.cli.dlq",
    "fundlyhub.cli.ingest",
    "fundlyhub.cli.main",
    "fundlyhub.cli.relay",
    "fundlyhub.cli.verify",
    "fundlyhub.processors",
    "fundlyhub.processing.tasks",
):
    import_module(module)
