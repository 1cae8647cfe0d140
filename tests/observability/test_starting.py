"""Tracing is never a reason not to work: without its extra, or with settings that are wrong, there are no traces."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ABSENT = "sys.modules['opentelemetry'] = None; "
INSTALL = 'pip install "fundlyhub[tracing]"'
START = """
import fundlyhub.processing.executor, fundlyhub.relay.relay, fundlyhub.channels.gateway
from fundlyhub.observability.tracing import enabled, start, stop
start("test")
print(enabled())
stop()
"""


@pytest.mark.parametrize(
    ("before", "exporter", "said"),
    [
        (ABSENT, "", ""),
        (ABSENT, "otlp", f"OTEL_TRACES_EXPORTER is set, but there will be no traces: {INSTALL}\n"),
        ("", "none", ""),
        ("", "smoke signals", "there will be no traces: OTEL_TRACES_EXPORTER is wrong (ValueError)\n"),
    ],
    ids=["no extra", "no extra, but asked for", "off", "no such exporter"],
)
def test_there_are_none_and_the_log_says_why(before: str, exporter: str, said: str) -> None:
    variables = {**os.environ, "OTEL_TRACES_EXPORTER": exporter}
    code = f"import sys; {before}\n{START}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables)
    assert (done.stdout, done.stderr, done.returncode) == ("False\n", said, 0)
