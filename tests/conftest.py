"""What every process of tests loads, and what the one that hands the tests out does without."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.support.rabbitmq import available

pytest_plugins = ["tests.support.garbage", "tests.support.measuring", "tests.support.units"]


def pytest_configure(config: pytest.Config) -> None:
    """Load the servers' fixtures, and with them most of the product, where tests run.

    The process that waits for those of pytest-xdist runs none, and they begin when it is ready.
    """
    if config.getoption("dist", "no") == "no":
        config.pluginmanager.register(import_module("tests.support.servers"))


def pytest_report_header() -> str:
    """Say at the top, and so in every log, whether RabbitMQ takes part."""
    return f"RabbitMQ: {'tested' if available() else 'NOT INSTALLED, its tests are skipped'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it at the end too."""
    if not available():
        terminalreporter.write_line("RabbitMQ is not installed: its tests were skipped", yellow=True)
