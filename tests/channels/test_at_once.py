"""The executor without threads: errors of a call are its future's, and what interrupts the caller is not."""

from __future__ import annotations

import threading

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from fundlyhub.channels.at_once import AtOnce
from fundlyhub.errors import Transient
from fundlyhub.processing import executor  # noqa: F401  # it tells what interrupts a batch


def fail(error: Exception) -> None:
    raise error


def test_a_call_has_run_when_it_is_submitted_in_the_same_thread() -> None:
    future = AtOnce().submit(threading.get_ident)
    assert future.done()
    assert future.result() == threading.get_ident()


def test_its_error_is_the_futures() -> None:
    error = Transient("no space left")
    assert AtOnce().submit(fail, error).exception() is error


def test_the_limit_of_a_batch_is_no_error_of_the_call_that_it_struck() -> None:
    with pytest.raises(SoftTimeLimitExceeded):
        AtOnce().submit(fail, SoftTimeLimitExceeded())
