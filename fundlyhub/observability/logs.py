"""Logging in one format for every process and library: text or JSON, on stderr, without personal data.

All entries go through the standard library's ``logging`` and are rendered by structlog, with the context in which they
were written (see ``context``).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any

import structlog
from structlog.contextvars import merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

from fundlyhub.observability.context import KEYS
from fundlyhub.observability.redaction import describe, frames
from fundlyhub.printable import one_line, printable, printable_json
from fundlyhub.settings import get_settings
from fundlyhub.unknown_variables import unknown_variables

NOISY = ("amqp", "kombu", "alembic", "celery.app.trace", "celery.worker.strategy")
"""Loggers that write an entry per connection, message or batch."""

_HEAD = ("time", "level", "process", "logger", "message")
_CALLS = ("aiohttp", "asyncio", "httpcore", "httpx", "redis", "requests", "urllib3")
_log = logging.getLogger("fundlyhub")


def configure(level: int | str = logging.INFO) -> None:
    """Send the logs of this process to stderr, at ``level`` and above, in the format that the settings name.

    Raises WrongUse when a setting is wrong.
    """
    as_json = get_settings().log_format == "json"
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter(as_json))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    _tell_of_unknown_variables()
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for calls in _CALLS:  # at DEBUG they log the address of each call, which may contain a token
        logging.getLogger(calls).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook = _last_words, _last_words_of_thread
    structlog.configure(  # for processors of other teams that use structlog directly
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.PositionalArgumentsFormatter(),
                    ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )  # fmt: skip


@cache
def _tell_of_unknown_variables() -> None:
    """Warn once per process: otherwise a misspelt variable would silently mean its default."""
    for line in unknown_variables():
        _log.warning("%s", line)


class _Formatter(ProcessorFormatter):
    """Renders a record, after removing what may quote personal data."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(
            foreign_pre_chain=[ExtraAdder(allow=KEYS)],
            processors=[
                merge_contextvars,
                _in_order,
                ProcessorFormatter.remove_processors_meta,
                _as_json if as_json else _as_line,
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        """One line, followed by the traceback in the text format."""
        shown = logging.makeLogRecord(record.__dict__)
        shown.args = _without_texts(record)
        return super().format(shown)


def _without_texts(record: logging.LogRecord) -> Any:
    """The record's arguments, with exceptions replaced by their descriptions."""
    args = record.args
    if isinstance(args, Mapping):
        shown = {name: _shown(value) for name, value in args.items()}
        if record.name == "celery.app.trace" and "exc" in shown:  # Celery has formatted it already
            error = record.exc_info[1] if record.exc_info else None
            shown |= {"exc": describe(error) if error else "its text is withheld", "traceback": ""}
        return shown
    return tuple(_shown(value) for value in args) if args else args


def _shown(value: Any) -> Any:
    return describe(value) if isinstance(value, BaseException) else value


def _in_order(logger: WrappedLogger, name: str, fields: EventDict) -> EventDict:
    """The fields in a fixed order: time, level, process, logger, message, context, error, traceback."""
    record: logging.LogRecord = fields["_record"]
    shown: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "process": record.process,
        "logger": record.name,
        "message": fields.pop("event"),
    }
    error = _error(fields.pop("exc_info", None))
    known = {key: fields.pop(key) for key in KEYS if key in fields}  # always in this order
    shown |= {key: _shown(value) for key, value in {**known, **fields}.items()}
    if error is not None:
        shown |= {"error": describe(error[0]), "traceback": frames(*error)}
    return shown


def _error(info: Any) -> tuple[BaseException, TracebackType | None] | None:
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        return info, info.__traceback__
    return (info[1], info[2]) if isinstance(info, tuple) and info[1] is not None else None


def _as_json(logger: WrappedLogger, name: str, fields: EventDict) -> str:
    return printable_json(json.dumps(fields, ensure_ascii=False, default=str))


def _as_line(logger: WrappedLogger, name: str, fields: EventDict) -> str:
    time, level, process, source, message = (fields.pop(key) for key in _HEAD)
    trace = fields.pop("traceback", None)
    context = "".join(f" {key}={value}" for key, value in fields.items())
    line = one_line(f"{time} {level.upper():7} {process} {source}: {message}{context}")
    return line + (f"\n{printable(trace)}" if trace else "")


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Report a record that cannot be formatted without its arguments, which Python would print."""
        if not isinstance(sys.exc_info()[1], OSError):  # stderr is closed
            _log.error("a record of %s at %s:%d cannot be shown", record.name, record.filename, record.lineno)


def _last_words(kind: type[BaseException], error: BaseException, places: TracebackType | None) -> None:
    """Log an uncaught error in the same format, without the error's text."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, places)
    else:
        _log.critical("ended by an error that nobody foresaw", exc_info=(kind, error, places))


def _last_words_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        who = args.thread.name if args.thread else "?"
        info = (args.exc_type, args.exc_value, args.exc_traceback)
        _log.critical("the thread %s was ended by an error that nobody foresaw", who, exc_info=info)
