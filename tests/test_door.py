"""The public door: what `import fundlyhub` brings, and what it must not bring."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import fundlyhub
from fundlyhub import errors, processing
from fundlyhub.events.catalogue import PAYLOADS

LOADED = """
import sys, fundlyhub
fundlyhub.publish_event, fundlyhub.publish_event_async, fundlyhub.publish_events
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""
HEAVY = {"alembic", "celery", "kombu", "amqp", "redis", "sendgrid", "pyfcm", "twilio", "elasticsearch", "rich"}
OURS = "fundlyhub.cli fundlyhub.celery fundlyhub.processing fundlyhub.processors fundlyhub.relay fundlyhub.embedded"


def test_publishing_loads_no_celery_and_no_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "fundlyhub" in loaded
    assert not loaded & HEAVY


def test_nor_any_part_of_ours_that_processes() -> None:
    code = f"import sys, fundlyhub; print([name for name in {OURS.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_it_opens_without_greenlet_which_is_an_extra() -> None:
    code = "import sys; sys.modules['greenlet'] = None; import fundlyhub; print(fundlyhub.publish_event_async.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("publish_event_async\n", 0), done.stderr


def test_all_is_exact() -> None:
    expected = {
        "Event", "EventType", "Payload", "publish_event", "publish_event_async", "publish_events",
        "FundlyHubError", "InvalidEvent", "UnknownEventType", "UnknownVersion", "ConflictingEvent",
        "NotMigrated", "Unavailable", "WrongUse", "UnreadableEvent", "upcasts",
        "WriteProcessor", "ProjectionProcessor", "NotificationProcessor", "BroadcastProcessor", "Delivery",
        "AggregateRows", "DerivedTable", "Paused", "paused_meanwhile", "Transient", "Permanent", "Snooze",
        "OutcomeUnknown", "app_metadata", "analytics_metadata", "get_engine", "renew_after_fork",
        "Applied", "wait_applied", "wait_applied_async",
    }  # fmt: skip
    expected |= {payload.__name__ for payload in PAYLOADS.values()}
    assert set(fundlyhub.__all__) == expected
    assert len(fundlyhub.__all__) == len(expected)
    for name in fundlyhub.__all__:
        assert getattr(fundlyhub, name) is not None


def test_the_classes_of_processors_are_those_of_their_package() -> None:
    assert fundlyhub.WriteProcessor is processing.WriteProcessor
    assert fundlyhub.Delivery is processing.Delivery


def test_a_name_that_is_not_there_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'fundlyhub' has no attribute 'Nothing'"):
        fundlyhub.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_star_import_brings_just_that() -> None:
    found: dict[str, object] = {}
    exec("from fundlyhub import *", found)  # noqa: S102  # the only way to say it inside a function
    assert set(found) - {"__builtins__"} == set(fundlyhub.__all__)


def test_the_tree_of_errors_in_the_docstring_is_the_real_one() -> None:
    """Each class stands in the drawing, below and to the right of its base."""
    drawing = [line for line in (errors.__doc__ or "").splitlines() if "──" in line or "FundlyHubError " in line]
    depth = {line.lstrip(" │├└─").split()[0]: len(line) - len(line.lstrip(" │├└─")) for line in drawing}
    classes = dict(inspect.getmembers(errors, inspect.isclass))
    assert set(depth) == set(classes)
    for name, cls in classes.items():
        if name != "FundlyHubError":
            (base,) = cls.__bases__
            assert depth[name] > depth[base.__name__]
