"""What every process of the platform imports: loaded once, in the process that the tests' processes are forked from.

Nothing here may read a setting: each process has settings of its own.
"""

from __future__ import annotations

import gc
import os
from importlib import import_module

from fundlyhub.cli.commands import COMMANDS

os.environ["REMAP_SIGTERM"] = "SIGQUIT"  # as fundlyhub.celery does it, before billiard is imported

for module in (
    "billiard.heap",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "billiard.synchronize",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.app.routes",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "fundlyhub.cli.database_faults",
    "fundlyhub.cli.main",
    "fundlyhub.cli.progress",
    "fundlyhub.cli.tables",
    *(f"fundlyhub.cli.{name}" for name in COMMANDS),
    "fundlyhub.database.partitioned",
    "fundlyhub.monitoring.prefork",
    "fundlyhub.observability.logs",
    "fundlyhub.processing.tasks",
    "fundlyhub.processing.worker.consumer",
    "fundlyhub.processing.worker.garbage",
    "fundlyhub.processing.worker.presence",
    "fundlyhub.processing.worker.request",
    "fundlyhub.processing.worker.stopping",
    "fundlyhub.processors",
    "fundlyhub.relay.relay",
    "kombu.pidbox",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "rich.progress",
):
    import_module(module)

import_module("fundlyhub.processors.warm_up").warm_up()

# What is here stays as long as a process does. A process that looks for garbage would else touch all of it, and so
# make copies of the pages that it shares with the others.
gc.collect()
gc.freeze()
