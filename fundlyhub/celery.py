"""The Celery app: ``celery -A fundlyhub worker -Q projections``. Wires settings, queues and processors."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, repeat
from typing import Any

# Celery's soft shutdown answers SIGTERM only under this variable, which billiard reads when it is imported.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

import click
import kombu.pools
from celery import Celery, Task  # after the variable above
from celery.signals import (
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import FundlyHubError, Unavailable, WrongUse
from fundlyhub.forks import in_child, leave_to_parent
from fundlyhub.garbage import tune
from fundlyhub.monitoring import prefork
from fundlyhub.monitoring.servers import redis_client
from fundlyhub.observability import metrics, tracing
from fundlyhub.observability.context import begin_message, end_message
from fundlyhub.observability.logs import configure
from fundlyhub.printable import one_line
from fundlyhub.processing import broker_connections, queues, registry, tasks
from fundlyhub.processing.broker_transports import guard_transports
from fundlyhub.processing.messages import expand_nothing
from fundlyhub.processing.worker.presence import Presence
from fundlyhub.processing.worker.remote_control import only_look
from fundlyhub.processing.worker.stopping import bound_the_stop
from fundlyhub.processors.warm_up import warm_up
from fundlyhub.rebuilds import tasks as rebuild_tasks
from fundlyhub.settings import get_settings


def make_app() -> Celery:
    """The app with a task for each processor.

    Raises WrongUse when a setting is missing or wrong.
    """
    settings = get_settings()
    settings.broker  # noqa: B018  # a missing URL is better said here than in Celery's loader
    registry.load(settings.processors)
    guard_transports()
    app = Celery("fundlyhub")
    app.config_from_object(_settings_module())
    tasks.install(app)
    rebuild_tasks.install(app)
    in_child(app, _leave_connections)
    app.steps["consumer"].add(Presence)
    return app


def _settings_module() -> str:
    """A ``celeryconfig`` that builds upon ours, when there is one; one of somebody else's is none of our business."""
    from fundlyhub.processing import celery_settings  # it reads the settings

    if find_spec("celeryconfig") is not None:
        ours = getattr(import_module("celeryconfig"), "REQUIRED", None) == celery_settings.REQUIRED
        if ours:
            return "celeryconfig"
    return celery_settings.__name__


def _leave_connections(app: Celery) -> None:
    """In a forked child: Celery and kombu do it by themselves in children of billiard alone."""
    for pools in (kombu.pools.producers, kombu.pools.connections):
        leave_to_parent(dict(pools))
        pools.clear()
    app._after_fork()


def refuse_other_settings(app: Celery) -> None:
    """Raise WrongUse when a setting that exactly-once processing rests on differs."""
    from fundlyhub.processing.celery_settings import REQUIRED

    wrong = [f"{name} must be {value!r}" for name, value in REQUIRED.items() if app.conf[name] != value]
    if wrong:
        raise WrongUse(f"celeryconfig differs from fundlyhub's: {', '.join(wrong)}")


@worker_init.connect
def _check_before_work(**_: object) -> None:
    """A worker that could lose or double events does not start."""
    try:
        refuse_other_settings(app)
        require_current("events", "app", "analytics", with_packages=True)
        if queues.KEYED.intersection(app.amqp.queues.consume_from):
            get_settings().secret  # noqa: B018  # without the key no address can be told from another
    except FundlyHubError as error:
        _leave(error)


NICENESS = 10
"""Of a worker that rebuilds alone: where all of a machine's processors are busy, live events go first."""


@worker_init.connect
def _stand_back(**_: object) -> None:
    """Before any child is forked: what makes tables anew has time."""
    if {*app.amqp.queues.consume_from} == {"rebuilds"}:
        os.nice(NICENESS)


@worker_init.connect
def _look_at_redis(**_: object) -> None:
    """One that is away costs the shared state of breakers, and no more; one that never can serve is a mistake."""
    settings = get_settings()
    if settings.redis_url is None:
        return
    try:
        with redis_client(settings.redis, settings) as client:
            client.ping()
    except WrongUse as error:
        _leave(error)
    except Unavailable as error:
        logging.getLogger(__name__).warning("%s; until then each worker has breakers of its own", error)


@worker_init.connect
def _warm_up(**_: object) -> None:
    """Before any child is forked: each would do it again."""
    warm_up()


@worker_init.connect
def _trust_no_message(**_: object) -> None:
    """Before the first connection: anybody who can write to the broker may send anything."""
    expand_nothing()
    only_look()


@worker_init.connect
def _own_numbers(**_: object) -> None:
    """Before any child is forked."""
    try:
        prefork.start(get_settings())
    except FundlyHubError as error:
        _leave(error)


@worker_init.connect
def _declare_queues(**_: object) -> None:
    settings = get_settings()
    for wait in chain(range(2, 15, 2), repeat(15)):
        try:
            with broker_connections.line(settings) as connection:
                queues.declare(connection, settings.broker_is_amqp)
            return
        except Unavailable as error:
            logging.getLogger(__name__).warning("%s; trying again in %d s", error, wait)
            time.sleep(wait)
        except WrongUse as error:
            _leave(error)


@worker_process_init.connect
def _count_process(**_: object) -> None:
    metrics.begun()


@worker_process_init.connect
def _start_tracing(**_: object) -> None:
    tracing.start("fundlyhub-worker")


@worker_process_shutdown.connect
def _stop_tracing(**_: object) -> None:
    tracing.stop()  # billiard's processes end without Python's exit handlers


worker_process_init.connect(tune)
worker_shutting_down.connect(bound_the_stop)


@setup_logging.connect
def _logs(loglevel: int = logging.WARNING, **_: object) -> None:
    configure(loglevel)


@celeryd_init.connect
def _logs_from_the_first_word(instance: Any, options: Mapping[str, Any], **_: object) -> None:
    configure(options.get("loglevel") or logging.WARNING)
    if get_settings().log_format == "json":
        instance.quiet = True  # no banner between the entries


@task_prerun.connect
def _tell_of_message(task: Task[Any, Any], task_id: str, args: Sequence[Any], **_: object) -> None:
    begin_message(task.name.rpartition(".")[2], task_id, args[0] if args and isinstance(args[0], list) else ())


@task_postrun.connect
def _message_is_done(**_: object) -> None:
    end_message()


def _leave(error: FundlyHubError) -> None:
    click.echo(f"fundlyhub: {one_line(str(error))}", err=True)
    raise SystemExit(2 if isinstance(error, WrongUse) else 1)


try:
    app = make_app()
except FundlyHubError as error:
    _leave(error)
