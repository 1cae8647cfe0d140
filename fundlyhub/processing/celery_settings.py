"""Celery's settings. The top-level celeryconfig.py re-exports them; a service may shadow that file.

``REQUIRED`` are those that exactly-once processing rests on: a worker that has others refuses to start.
"""

from __future__ import annotations

from typing import Any

from fundlyhub.processing.queues import EXCHANGE, QUEUES, declarations, routing_key
from fundlyhub.settings import PREFETCH, get_settings

_settings = get_settings()
_amqp = _settings.broker_is_amqp

broker_url = _settings.broker
if _settings.broker_tls:
    broker_use_ssl = _settings.broker_tls
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # an outage of any length is waited out
broker_connection_timeout = _settings.connect_timeout
broker_transport_options: dict[str, Any] = (
    {"confirm_publish": True, "write_timeout": _settings.broker_timeout}
    if _amqp
    else {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,  # a killed worker's messages are back in seconds
        "unacked_restore_throttle": 1,
        "socket_timeout": _settings.broker_timeout,
        "socket_connect_timeout": _settings.connect_timeout,
        "socket_keepalive": True,
    }
)

task_queues = declarations(_amqp)
task_routes = {f"{queue}.*": {"queue": queue} for queue in QUEUES}
task_default_queue = "projections"
task_default_exchange = EXCHANGE
task_default_exchange_type = "topic" if _amqp else "direct"
task_default_routing_key = routing_key("projections")
task_default_queue_type = "quorum" if _amqp else "classic"
task_create_missing_queues = False
task_serializer = "json"
accept_content = ["json"]

task_acks_late = True
task_acks_on_failure = False  # an unhandled failure goes to the dead-letter exchange, where there is one
task_acks_on_timeout = False  # a hung batch comes back, to be run with care
# A lost child's batch comes back too. On Redis requeueing has no limit, so that it is a retry there.
task_reject_on_worker_lost = _amqp
task_retry_on_worker_lost = not _amqp
task_ignore_result = True
task_track_started = False
# Each queue has limits of its own, which its tasks carry; these stand for a task that lacks them.
task_soft_time_limit, task_time_limit = _settings.time_limits("projections")

worker_consumer = "fundlyhub.processing.worker.consumer:RefusingConsumer"
worker_prefetch_multiplier = PREFETCH
worker_cancel_long_running_tasks_on_connection_loss = False
worker_soft_shutdown_timeout = _settings.stop_limit
# In KiB. A handler that leaks costs a process between two batches, and never the machine.
worker_max_memory_per_child = _settings.worker_memory_limit * 1024 or None
worker_hijack_root_logger = False
worker_proc_alive_timeout = 30.0
timezone = "UTC"
enable_utc = True

REQUIRED = {
    "task_acks_late": True,
    "task_acks_on_failure": False,
    "task_acks_on_timeout": False,
    "task_reject_on_worker_lost": _amqp,
    "task_retry_on_worker_lost": not _amqp,
    "task_create_missing_queues": False,
    "task_serializer": "json",
    "task_default_exchange": EXCHANGE,
}
